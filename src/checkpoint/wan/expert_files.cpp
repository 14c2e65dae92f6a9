#include "checkpoint/wan/expert_files.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text/quote.h"
#include "checkpoint/wan/experts.h"
#include "checkpoint/wan/model_index.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

std::vector<fs::path> entries_of(const fs::path& directory, bool (*wanted)(const fs::path&)) {
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (wanted(entry.path())) entries.push_back(entry.path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool is_weight_file(const fs::path& path) { return path.extension() == ".safetensors"; }

bool holds_weight_files(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error) && !entries_of(path, is_weight_file).empty();
}

// One high-noise and one low-noise entry; nullopt when no name says either.
struct Pair {
  std::vector<fs::path> high, low;
};

std::optional<Pair> pair_of(const std::vector<fs::path>& entries) {
  Pair pair;
  for (const fs::path& entry : entries) {
    const char* expert = expert_of_name(entry.filename().string());
    if (expert == nullptr) continue;
    (std::string_view(expert) == kHighNoiseExpert ? pair.high : pair.low).push_back(entry);
  }
  if (pair.high.empty() && pair.low.empty()) return std::nullopt;
  return pair;
}

std::string names_of(const std::vector<fs::path>& paths) {
  std::vector<std::string> names;
  for (const fs::path& path : paths) names.push_back(path.filename().string());
  return names.empty() ? "none" : name_list(names, 4);
}

void check_pair(const fs::path& root, const Pair& pair) {
  if (pair.high.size() == 1 && pair.low.size() == 1) return;
  throw Error(pair.high.empty() || pair.low.empty() ? Code::kNotFound : Code::kCorruptFile,
              root.string() +
                  ": expected one file for high noise and one for low noise by their names, got " +
                  names_of(pair.high) + " and " + names_of(pair.low));
}

// The pair of files or, where no file says anything, of folders.
std::optional<Pair> find_pair(const fs::path& root) {
  const std::vector<fs::path> files = entries_of(root, is_weight_file);
  if (const std::optional<Pair> pair = pair_of(files)) return pair;
  if (!files.empty()) return std::nullopt;
  return pair_of(entries_of(root, holds_weight_files));
}

bool has_original_layout(const fs::path& root) {
  return fs::exists(root / "high_noise_model") || fs::exists(root / "low_noise_model");
}

ExpertFiles original_experts(const fs::path& root) {
  for (const char* folder : {"high_noise_model", "low_noise_model"}) {
    if (fs::is_directory(root / folder)) continue;
    throw Error(Code::kNotFound, root.string() + ": no folder " + folder +
                                     "; expected high_noise_model and low_noise_model, the two "
                                     "experts of Wan2.2-A14B");
  }
  return {{kHighNoiseExpert, root / "high_noise_model"},
          {kLowNoiseExpert, root / "low_noise_model"}};
}

ExpertFiles diffusers_experts(const fs::path& root) {
  const ModelIndex index = read_model_index(root / "model_index.json");
  ExpertFiles experts;
  for (const char* component : {kHighNoiseExpert, kLowNoiseExpert}) {
    if (index.components.count(component) == 0) continue;
    if (!fs::is_directory(root / component)) {
      throw Error(Code::kNotFound, root.string() + ": model_index.json lists " + component +
                                       ", but there is no folder " + component);
    }
    experts.emplace_back(component, root / component);
  }
  return experts;
}

bool holds_one_transformer(const fs::path& root) {
  if (fs::exists(root / "config.json")) return true;
  const std::vector<fs::path> files = entries_of(root, is_weight_file);
  return std::any_of(files.begin(), files.end(), [](const fs::path& file) {
    const std::string name = file.filename().string();
    return name.find("quant_model_weight") != name.npos ||
           name.find("diffusion_pytorch_model") != name.npos;
  });
}

}  // namespace

ExpertFiles find_experts(const fs::path& path) {
  if (fs::is_regular_file(path)) return {{kHighNoiseExpert, path}};
  if (!fs::is_directory(path)) {
    throw Error(Code::kNotFound, path.string() + ": no such file or directory");
  }
  if (fs::exists(path / "model_index.json")) return diffusers_experts(path);
  if (has_original_layout(path)) return original_experts(path);
  if (const std::optional<Pair> pair = find_pair(path)) {
    check_pair(path, *pair);
    return {{kHighNoiseExpert, pair->high[0]}, {kLowNoiseExpert, pair->low[0]}};
  }
  if (holds_one_transformer(path)) return {{kHighNoiseExpert, path}};
  const std::vector<fs::path> files = entries_of(path, is_weight_file);
  if (files.size() == 1) return {{kHighNoiseExpert, files[0]}};
  throw Error(Code::kNotFound,
              path.string() +
                  ": no Wan2.2 transformer here: expected model_index.json, high_noise_model and "
                  "low_noise_model, quant_model_weight*.safetensors, "
                  "diffusion_pytorch_model*.safetensors, two files whose names say high and low "
                  "noise, or one .safetensors file; got " +
                  names_of(files));
}

fs::path find_expert(const fs::path& path, const std::string& component) {
  if (!fs::is_directory(path)) {
    const bool is_index = path.filename().string().ends_with(kIndexSuffix);
    if (!is_index) return path;
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
  }
  const bool whole_model = fs::exists(path / "model_index.json") || has_original_layout(path);
  if (!whole_model) {
    const std::optional<Pair> pair = find_pair(path);
    if (!pair && !holds_weight_files(path))
      return path;  // what is missing is said where it is opened
    if (pair) {     // the other half is not needed here
      const std::vector<fs::path>& own = component == kHighNoiseExpert ? pair->high : pair->low;
      if (own.size() == 1) return own[0];
      check_pair(path, *pair);
    }
  }
  const ExpertFiles experts = find_experts(path);
  if (experts.size() == 1) return experts[0].second;
  const auto found = std::ranges::find(experts, component, &ExpertFiles::value_type::first);
  return found == experts.end() ? path : found->second;
}

}  // namespace mxvideo::checkpoint
