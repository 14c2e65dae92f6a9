#include "checkpoint/snapshot.h"

#include <algorithm>
#include <array>
#include <limits>
#include <regex>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "checkpoint/containment.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/wan/model_index.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

// Folders of both layouts and the components that they are.
struct ModelFolder {
  std::string_view name, component;
};
constexpr std::array kModelFolders = {
    ModelFolder{"transformer", "transformer"},
    ModelFolder{"transformer_2", "transformer_2"},
    ModelFolder{"high_noise_model", "transformer"},
    ModelFolder{"low_noise_model", "transformer_2"},
    ModelFolder{"vae", "vae"},
    ModelFolder{"text_encoder", "text_encoder"},
    ModelFolder{"tokenizer", "tokenizer"},
    ModelFolder{"google", "tokenizer"},
    ModelFolder{"scheduler", "scheduler"},
};
constexpr std::string_view kWeightSuffix = ".safetensors";
constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

// The component that a file of the repository belongs to; empty for none.
std::string component_of(const fs::path& file) {
  if (!file.has_parent_path()) return {};
  const std::string top = file.begin()->string();
  const auto found = std::ranges::find(kModelFolders, top, &ModelFolder::name);
  return found == kModelFolders.end() ? std::string() : std::string(found->component);
}

bool is_weight_name(const std::string& name) { return name.find(kWeightSuffix) != name.npos; }

// "<stem>.safetensors", its index, or "<stem>-00001-of-00002.safetensors"; other stems belong to
// variants.
bool is_read_weight(const std::string& name) {
  static const std::regex pattern(
      "(diffusion_pytorch_model|model|quant_model_weight[A-Za-z0-9_]*)"
      "(-[0-9]+-of-[0-9]+)?\\.safetensors(\\.index\\.json)?");
  return std::regex_match(name, pattern);
}

// Files other than weights that a component is read from, if the repository has them. Without
// spiece.model a tokenizer is read from tokenizer.json.
bool is_read_config(const fs::path& file, const fs::path& snapshot) {
  const std::string name = file.filename().string();
  if (name == "spiece.model") {
    return !fs::exists(snapshot / file.parent_path() / "tokenizer.json");
  }
  if (name == "tokenizer.json") {
    return !fs::exists(snapshot / file.parent_path() / "spiece.model");
  }
  return file.extension() == ".json" && !is_weight_name(name);
}

bool is_read(const fs::path& file, const fs::path& snapshot, const ModelNeeds& needs) {
  if (file == "model_index.json") return true;
  const std::string component = component_of(file);
  if (component.empty() || !needs.reads(component)) return false;
  const std::string name = file.filename().string();
  return is_weight_name(name) ? is_read_weight(name) : is_read_config(file, snapshot);
}

bool is_plain_relative(const fs::path& file) {
  return file.is_relative() && std::none_of(file.begin(), file.end(), [](const fs::path& part) {
           return part == ".." || part == ".";
         });
}

struct SnapshotProblems {
  std::set<std::string> missing;
  std::vector<std::string> wrong_size;
};

// A snapshot, what is read of it, and what is wrong with that.
class SnapshotCheck {
 public:
  SnapshotCheck(const fs::path& repository, const std::string& commit, const ModelNeeds& needs)
      : repository_(repository),
        snapshot_(repository / "snapshots" / commit),
        tree_(repository / "trees" / (commit + ".json")),
        needs_(needs) {}

  SnapshotProblems run() {
    check_present_files();
    if (!check_against_tree()) check_against_index();
    return std::move(problems_);
  }

 private:
  // Links that are read must lead to something, inside of the repository; shards that an index
  // names must be there.
  void check_present_files() {
    const fs::path root = fs::canonical(repository_);
    for (const auto& entry : fs::recursive_directory_iterator(snapshot_)) {
      const fs::path file = entry.path().lexically_relative(snapshot_);
      if (entry.is_directory()) {
        const bool read = needs_.reads(component_of(file / "x"));
        if (entry.is_symlink() && read) resolve_inside(entry.path(), root);
        continue;
      }
      if (!is_read(file, snapshot_, needs_)) continue;
      if (!fs::exists(entry.path())) {
        add_missing(file);
        continue;
      }
      if (entry.is_symlink()) resolve_inside(entry.path(), root);
      if (file.string().ends_with(kIndexSuffix)) check_shards(file);
    }
  }

  void check_shards(const fs::path& index) {
    for (const std::string& shard : read_shard_index(snapshot_ / index).shards()) {
      const fs::path file = index.parent_path() / shard;
      // A dangling link is found by the listing too.
      if (!fs::exists(snapshot_ / file) && !fs::is_symlink(snapshot_ / file)) add_missing(file);
    }
  }

  // True when the folder has its weights, or all that its index names was looked at.
  bool has_weights(const fs::path& folder) const {
    std::error_code error;
    for (fs::directory_iterator entry(snapshot_ / folder, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      const bool shard = name.find("-of-") != name.npos && name.ends_with(kWeightSuffix);
      if (is_read_weight(name) && !shard) return true;
    }
    return false;
  }

  // What the listing of the repository promises. False when there is none that can be read.
  bool check_against_tree() {
    if (!fs::is_regular_file(tree_)) return false;
    const nlohmann::json tree = read_json_file(tree_);
    const JsonFields fields(tree, tree_.string());
    if (fields.integer_or("format_version", 0, 0, std::numeric_limits<int64_t>::max()) != 1) {
      return false;
    }
    const JsonFields files(fields.raw("files"), tree_.string() + ": files");
    for (const auto& [name, entry] : fields.raw("files").items()) check_promised(name, entry);
    return true;
  }

  void check_promised(const std::string& name, const nlohmann::json& entry) {
    const fs::path file = name;
    const std::string where = tree_.string() + ": '" + printable(name) + "'";
    if (!is_plain_relative(file)) {
      throw Error(Code::kCorruptFile, where + " is not a path inside the repository");
    }
    if (!is_read(file, snapshot_, needs_)) return;
    const JsonFields fields(entry, where);
    const int64_t size = fields.integer("size", 0, std::numeric_limits<int64_t>::max());
    std::error_code error;
    const auto got = fs::file_size(snapshot_ / file, error);
    if (!error && got != static_cast<uintmax_t>(size)) {
      problems_.wrong_size.push_back(name + " (expected " + std::to_string(size) + " bytes, got " +
                                     std::to_string(got) + ")");
    }
    // Weights may be published twice, as one file and as shards; one of them suffices.
    const bool weights = is_weight_name(file.filename().string());
    if (error && !(weights && has_weights(file.parent_path()))) add_missing(file);
  }

  // Components that the snapshot's own index names.
  void check_against_index() {
    const fs::path index = snapshot_ / "model_index.json";
    if (!fs::exists(index)) return;  // another layout; the model itself will tell
    for (const auto& [name, component] : read_model_index(index).components) {
      std::error_code error;
      const fs::path folder = snapshot_ / name;
      if (!needs_.reads(name)) continue;
      if (!fs::is_directory(folder, error) || fs::is_empty(folder, error)) add_missing(name + "/");
    }
  }

  void add_missing(const fs::path& file) { problems_.missing.insert(file.generic_string()); }

  fs::path repository_, snapshot_, tree_;
  const ModelNeeds& needs_;
  SnapshotProblems problems_;
};

size_t count_unfinished_downloads(const fs::path& repository) {
  size_t count = 0;
  std::error_code error;
  for (fs::directory_iterator entry(repository / "blobs", error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".incomplete") ++count;
  }
  return count;
}

}  // namespace

void check_snapshot_complete(const fs::path& repository, const std::string& commit,
                             const ModelNeeds& needs, const std::string& download_command) {
  const std::string snapshot = (repository / "snapshots" / commit).string();
  const SnapshotProblems problems = SnapshotCheck(repository, commit, needs).run();
  const auto counted = [](size_t count, const std::string& one, const std::string& many) {
    return std::to_string(count) + (count == 1 ? one : many);
  };
  if (!problems.wrong_size.empty()) {
    throw Error(Code::kCorruptFile, snapshot + ": " +
                                        counted(problems.wrong_size.size(), " file", " files") +
                                        " of wrong size: " + name_list(problems.wrong_size));
  }
  if (problems.missing.empty()) return;
  const size_t unfinished = count_unfinished_downloads(repository);
  throw Error(
      Code::kNotFound,
      snapshot + ": incomplete: " + counted(problems.missing.size(), " file", " files") +
          " missing: " + name_list({problems.missing.begin(), problems.missing.end()}) +
          (unfinished == 0
               ? ""
               : "; " + counted(unfinished, " unfinished download", " unfinished downloads") +
                     " (*.incomplete) in blobs") +
          "; complete it with: " + download_command);
}

}  // namespace mxvideo::checkpoint
