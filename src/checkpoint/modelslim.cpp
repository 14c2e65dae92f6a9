#include "checkpoint/modelslim.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/wan/key_map.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExactName = "quant_model_description.json";
constexpr std::string_view kPrefix = "quant_model_description";
constexpr size_t kMaxTypeBytes = 64;
constexpr std::string_view kMxfp8 = "W8A8_MXFP8";
constexpr std::string_view kMxint8 = "W8A8_MXINT8";

// Names of tensors and modules have dots, but for this one; other strings describe the file.
constexpr std::string_view kTensorWithoutDot = "scale_shift_table";

bool names_file_member(std::string_view name) {
  return name.find('.') == name.npos && name != kTensorWithoutDot;
}

[[noreturn]] void corrupt(const std::string& origin, const std::string& what) {
  throw Error(Code::kCorruptFile, origin + ": " + what);
}

}  // namespace

std::string_view modelslim_type(formats::MxElement element) {
  return element == formats::MxElement::kInt8 ? kMxint8 : kMxfp8;
}

std::optional<formats::MxElement> modelslim_element(std::string_view type) {
  if (type == kMxfp8) return formats::MxElement::kE4m3;
  if (type == kMxint8) return formats::MxElement::kInt8;
  return std::nullopt;
}

std::optional<fs::path> find_modelslim_description(const fs::path& directory) {
  if (fs::exists(directory / kExactName)) return directory / kExactName;
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(".json")) names.push_back(name);
  }
  if (names.empty()) return std::nullopt;
  if (names.size() > 1) {
    std::sort(names.begin(), names.end());
    corrupt(directory.string(), "expected one quant_model_description*.json, got " +
                                    std::to_string(names.size()) + ": " + name_list(names));
  }
  return directory / names.front();
}

ModelSlimDescription parse_modelslim_description(std::string_view text, const std::string& origin) {
  nlohmann::json root = parse_json(text, origin);
  if (!root.is_object()) corrupt(origin, "expected an object, got " + describe_json(root));
  ModelSlimDescription description;
  for (auto& [name, value] : root.items()) {
    if (!value.is_string() || (names_file_member(name) && !name.empty())) {
      description.other[name] = std::move(value);
      continue;
    }
    const std::string& type = value.get_ref<const std::string&>();
    if (name.empty() || name.size() > kMaxTensorNameBytes) {
      corrupt(origin, "tensor name of " + std::to_string(name.size()) + " bytes, expected 1 to " +
                          std::to_string(kMaxTensorNameBytes));
    }
    if (type.empty() || type.size() > kMaxTypeBytes) {
      corrupt(origin, "'" + printable(name) + "': expected a type like W8A8_MXFP8, got '" +
                          printable(type) + "'");
    }
    description.types.emplace(name, type);
  }
  return description;
}

ModelSlimDescription read_modelslim_description(const fs::path& path) {
  return parse_modelslim_description(read_file(path, JsonLimits{}.max_bytes), path.string());
}

std::string modelslim_description_text(const ModelSlimDescription& description) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  auto& items = root.get_ref<nlohmann::ordered_json::object_t&>();
  for (const auto& [name, value] : description.other.items()) items.push_back({name, value});
  for (const auto& [name, type] : description.types) items.push_back({name, type});
  return root.dump(2) + "\n";
}

ModelSlimDescription canonical_description(const ModelSlimDescription& description,
                                           const std::string& origin) {
  // Tensor names of one style; names that only the description has may keep the other.
  size_t original = 0, diffusers = 0;
  for (const auto& [name, type] : description.types) {
    if (is_original_transformer_name(name)) {
      ++original;
    } else if (canonical_transformer_name(original_transformer_name(name),
                                          NamingStyle::kOriginal) == name &&
               original_transformer_name(name) != name) {
      ++diffusers;
    }
  }
  const NamingStyle style =
      original > diffusers ? NamingStyle::kOriginal : NamingStyle::kHuggingFace;
  ModelSlimDescription canonical{.types = {}, .other = description.other};
  for (const auto& [name, type] : description.types) {
    const std::string target = canonical_transformer_name(name, style);
    const auto [position, inserted] = canonical.types.emplace(target, type);
    if (!inserted) {
      corrupt(origin, "'" + printable(name) + "': another name also stands for '" +
                          printable(target) + "'");
    }
  }
  return canonical;
}

}  // namespace mxvideo::checkpoint
