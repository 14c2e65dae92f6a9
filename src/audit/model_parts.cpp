#include "audit/model_parts.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text/json.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/wan/experts.h"
#include "checkpoint/wan/key_map.h"
#include "checkpoint/wan/model_family.h"
#include "checkpoint/wan/model_index.h"

namespace mxvideo::audit {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;

PartKind kind_of_component(const std::string& name) {
  if (name.starts_with("transformer")) return PartKind::kTransformer;
  if (name == "text_encoder") return PartKind::kTextEncoder;
  return name == "vae" ? PartKind::kVae : PartKind::kUnknown;
}

PartKind kind_of_config(const nlohmann::json& config) {
  if (!config.is_object()) return PartKind::kUnknown;
  const std::string class_name = config.value("_class_name", std::string());
  if (class_name == "WanTransformer3DModel" || class_name == "WanModel") {
    return PartKind::kTransformer;
  }
  if (class_name == "AutoencoderKLWan") return PartKind::kVae;
  return config.contains("relative_attention_num_buckets") ? PartKind::kTextEncoder
                                                           : PartKind::kUnknown;
}

PartKind kind_of_tensors(const Checkpoint& files) {
  const auto family = recognise_family(files);
  if (!family || !family->component) return PartKind::kUnknown;
  switch (*family->component) {
    case checkpoint::Component::kTransformer:
      return PartKind::kTransformer;
    case checkpoint::Component::kTextEncoder:
      return PartKind::kTextEncoder;
    case checkpoint::Component::kVae:
      return PartKind::kVae;
  }
  return PartKind::kUnknown;
}

// config.json beside the weights, a transformer's in the words of Diffusers.
void read_config(const fs::path& directory, ModelPart& part) {
  const fs::path path = directory / "config.json";
  if (!fs::exists(path)) return;
  part.config = read_json_file(path);
  part.config_origin = path.string();
  part.kind = kind_of_config(part.config);
  if (part.kind == PartKind::kTransformer && part.config.value("_class_name", "") == "WanModel") {
    part.config = checkpoint::transformer_config_from_wan(part.config, part.config_origin);
  }
}

ModelPart single_part(const fs::path& path, const fs::path& directory) {
  ModelPart part{.name = path.filename().string(), .weights = path};
  if (part.name.empty()) part.name = path.parent_path().filename().string();
  const bool is_file = !fs::is_directory(path);
  // A file in a folder of many belongs to the folder's config only if it fits; its tensors say.
  std::vector<std::string> problems;
  if (!collect_problem(problems, [&] { read_config(directory, part); })) {
    part.config_problem = problems.front();
    part.config = nullptr;
    part.kind = PartKind::kUnknown;
  }
  if (part.kind != PartKind::kUnknown && !is_file) return part;
  const PartKind found =
      kind_of_tensors(is_file ? Checkpoint::open_file(path) : Checkpoint::open_directory(path));
  if (found != part.kind) part.config = nullptr;
  part.kind = found;
  return part;
}

// Components that the index of a model lists and that have no folder: parts like others, which
// opening them finds.
std::set<std::string> absent_components(const fs::path& path) {
  std::set<std::string> absent;
  if (!fs::exists(path / "model_index.json")) return absent;
  for (const auto& [name, component] :
       checkpoint::read_model_index(path / "model_index.json").components) {
    if (!fs::is_directory(path / name)) absent.insert(name);
  }
  return absent;
}

std::vector<ModelPart> parts_of_model(const fs::path& path) {
  const checkpoint::ModelDirectory model =
      checkpoint::open_model_directory(path, absent_components(path));
  std::vector<ModelPart> parts;
  for (const char* name : {"text_encoder", "transformer", "transformer_2", "vae"}) {
    if (!model.has(name)) continue;
    ModelPart part{.name = name, .weights = model.path(name)};
    if (fs::is_directory(part.weights)) read_config(part.weights, part);
    part.kind = kind_of_component(name);
    if (part.kind == PartKind::kTransformer && fs::exists(model.config_path(name))) {
      part.config = model.transformer_config(name);
      part.config_origin = model.config_path(name).string();
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

// A folder of files without a config, as ComfyUI has them: the experts under their components'
// names where their own names tell them, else every file.
std::vector<ModelPart> parts_of_files(const fs::path& path) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<ModelPart> parts;
  for (const fs::path& file : files) parts.push_back(single_part(file, path));
  const auto says = [&](const char* expert) {
    return std::ranges::count_if(files, [&](const fs::path& file) {
      const char* said = checkpoint::expert_of_name(file.filename().string());
      return said != nullptr && std::string_view(said) == expert;
    });
  };
  if (says(checkpoint::kHighNoiseExpert) != 1 || says(checkpoint::kLowNoiseExpert) != 1) {
    return parts;
  }
  for (ModelPart& part : parts) {
    if (const char* said = checkpoint::expert_of_name(part.name)) part.name = said;
  }
  return parts;
}

// True when a component's weights lie in `path` under a name that loading tries.
bool is_component(const fs::path& path) {
  return std::ranges::any_of(fs::directory_iterator(path), [](const fs::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    return name.starts_with("diffusion_pytorch_model") || name.starts_with("model.safetensors") ||
           name.starts_with("model-0") || name.starts_with("quant_model_weight");
  });
}

}  // namespace

std::string_view part_kind_name(PartKind kind) {
  switch (kind) {
    case PartKind::kTransformer:
      return "transformer";
    case PartKind::kTextEncoder:
      return "text_encoder";
    case PartKind::kVae:
      return "vae";
    case PartKind::kUnknown:
      break;
  }
  return "unknown";
}

std::vector<ModelPart> find_model_parts(const fs::path& path) {
  if (!fs::exists(path)) throw Error(Code::kNotFound, path.string() + ": not found");
  if (!fs::is_directory(path)) return {single_part(path, path.parent_path())};
  const bool model = fs::exists(path / "model_index.json") ||
                     fs::exists(path / "high_noise_model") || fs::exists(path / "low_noise_model");
  if (model) return parts_of_model(path);
  ModelPart part{.name = {}, .weights = path};
  read_config(path, part);
  const bool original = !part.config.is_null() && fs::exists(path / "Wan2.2_VAE.safetensors");
  if (original) return parts_of_model(path);
  if (part.config.is_null() && !is_component(path)) {
    std::vector<ModelPart> parts = parts_of_files(path);
    if (!parts.empty()) return parts;
  }
  return {single_part(path, path)};
}

std::vector<ModelPart> parts_below(const fs::path& directory) {
  std::vector<ModelPart> parts;
  const auto add = [&](const fs::path& path, const fs::path& config_folder) {
    ModelPart part{.name = path.filename().string(), .weights = path};
    std::vector<std::string> unused;  // comes again when the part is opened
    collect_problem(unused, [&] { part = single_part(path, config_folder); });
    parts.push_back(std::move(part));
  };
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    entries.push_back(entry.path());
  }
  std::ranges::sort(entries);
  for (const fs::path& entry : entries) {
    const auto holds_weights = [](const fs::path& folder) {
      return std::ranges::any_of(fs::directory_iterator(folder), [](const auto& file) {
        return file.path().extension() == ".safetensors";
      });
    };
    if (fs::is_directory(entry) && holds_weights(entry)) add(entry, entry);
    const bool file = fs::is_regular_file(entry) && entry.extension() == ".safetensors";
    if (file && !checkpoint::parse_shard_name(entry.filename().string())) add(entry, directory);
  }
  return parts;
}

Checkpoint open_weights(const ModelPart& part) {
  return fs::is_directory(part.weights) ? Checkpoint::open_directory(part.weights)
                                        : Checkpoint::open_file(part.weights);
}

checkpoint::TransformerCheckpoint open_part(const ModelPart& part) {
  if (part.kind == PartKind::kTransformer) {
    return checkpoint::open_transformer_checkpoint(part.weights);
  }
  checkpoint::TransformerCheckpoint opened{.checkpoint = open_weights(part),
                                           .stored_names = checkpoint::NamingStyle::kHuggingFace,
                                           .quantization = {}};
  if (part.kind == PartKind::kUnknown) return opened;
  opened.stored_names = checkpoint::normalize_names(
      opened.checkpoint, part.kind == PartKind::kVae ? checkpoint::Component::kVae
                                                     : checkpoint::Component::kTextEncoder);
  return opened;
}

}  // namespace mxvideo::audit
