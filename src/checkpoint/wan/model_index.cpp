#include "checkpoint/wan/model_index.h"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/json.h"
#include "base/text/quote.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kTextPipeline = "WanPipeline";
constexpr std::string_view kImagePipeline = "WanImageToVideoPipeline";
constexpr int64_t kMaxChannels = 1 << 16;
constexpr int64_t kMaskChannels = 4;  // one per video frame of a latent frame

// The components of the two pipelines and the classes that mxvideo has for them.
struct KnownComponent {
  const char* name;
  std::array<std::string_view, 2> classes;
  bool required;
};
constexpr std::array kKnownComponents = {
    KnownComponent{"scheduler", {"UniPCMultistepScheduler", ""}, true},
    KnownComponent{"text_encoder", {"UMT5EncoderModel", ""}, true},
    KnownComponent{"tokenizer", {"T5TokenizerFast", "T5Tokenizer"}, true},
    KnownComponent{"transformer", {"WanTransformer3DModel", ""}, true},
    KnownComponent{"transformer_2", {"WanTransformer3DModel", ""}, false},
    KnownComponent{"vae", {"AutoencoderKLWan", ""}, true},
    KnownComponent{"image_encoder", {"", ""}, false},
    KnownComponent{"image_processor", {"", ""}, false},
};

[[noreturn]] void corrupt(const std::string& origin, const std::string& what) {
  throw Error(Code::kCorruptFile, origin + ": " + what);
}

[[noreturn]] void unsupported(const std::string& origin, const std::string& what) {
  throw Error(Code::kUnsupported, origin + ": " + what);
}

// ["library", "Class"], or nullopt for null and [null, null].
std::optional<ComponentClass> parse_component(const std::string& key, const json& value,
                                              const std::string& origin) {
  if (value.is_null()) return std::nullopt;
  const bool pair = value.is_array() && value.size() == 2;
  if (pair && value[0].is_null() && value[1].is_null()) return std::nullopt;
  if (!pair || !value[0].is_string() || !value[1].is_string()) {
    corrupt(origin, "component '" + printable(key) +
                        "': expected [\"library\", \"Class\"] or [null, null], got " +
                        describe_json(value));
  }
  return ComponentClass{.library = value[0].get<std::string>(),
                        .class_name = value[1].get<std::string>()};
}

void check_component(const KnownComponent& known, const ComponentClass& component,
                     const std::string& origin) {
  for (const std::string_view name : known.classes) {
    if (!name.empty() && component.class_name == name) return;
  }
  const std::string expected(known.classes[0].empty() ? "null" : known.classes[0]);
  unsupported(origin, std::string("component '") + known.name + "': expected " + expected +
                          ", got " + printable(component.class_name));
}

const KnownComponent* find_known(const std::string& key) {
  for (const KnownComponent& known : kKnownComponents) {
    if (key == known.name) return &known;
  }
  return nullptr;
}

void check_cascade(const ModelIndex& index, const std::string& origin) {
  const bool two_experts = index.components.count("transformer_2") > 0;
  if (two_experts != index.boundary_ratio.has_value()) {
    corrupt(origin, two_experts ? "boundary_ratio: expected a number, because there is a "
                                  "transformer_2, got null"
                                : "boundary_ratio: expected null, because there is no "
                                  "transformer_2, got a number");
  }
}

std::string original_file(WanVariant variant, const std::string& component) {
  if (component == "vae") {
    return variant == WanVariant::kTI2V ? "Wan2.2_VAE.safetensors" : "Wan2.1_VAE.safetensors";
  }
  if (component == "text_encoder") return "models_t5_umt5-xxl-enc-bf16.safetensors";
  if (component == "tokenizer") return "google/umt5-xxl";
  return component;
}

// The experts of one model have one config.
void borrow_configs(ModelDirectory& model, const std::set<std::string>& replaced) {
  const std::array<std::string, 2> experts = {"transformer", "transformer_2"};
  for (size_t i = 0; i < 2; ++i) {
    if (replaced.count(experts[i]) == 0 || !model.has(experts[i]) || !model.has(experts[1 - i])) {
      continue;
    }
    const fs::path own = model.path(experts[i]) / "config.json";
    const fs::path other = model.path(experts[1 - i]) / "config.json";
    if (!fs::exists(own) && fs::exists(other)) model.config_paths[experts[i]] = other;
  }
}

ModelDirectory open_diffusers(const fs::path& root, const std::set<std::string>& replaced) {
  ModelDirectory model{.root = root,
                       .layout = ModelLayout::kDiffusers,
                       .variant = WanVariant::kT2V,
                       .index = read_model_index(root / "model_index.json"),
                       .paths = {},
                       .config_paths = {}};
  for (const auto& [name, component] : model.index.components) {
    // A text encoder may carry the tokenizer.
    const bool needed = name != "tokenizer" && replaced.count(name) == 0;
    if (!fs::is_directory(root / name) && needed) {
      throw Error(Code::kNotFound, (root / "model_index.json").string() + ": component '" + name +
                                       "': no folder " + (root / name).string());
    }
    model.paths.emplace(name, root / name);
  }
  model.variant = variant_of_index(model.index);
  borrow_configs(model, replaced);
  for (const auto& [name, path] : model.paths) {
    if (!name.starts_with("transformer")) continue;
    const fs::path config = model.config_path(name);
    if (replaced.count(name) > 0 && !fs::exists(config)) continue;  // comes with what replaces it
    detect_variant(model.index, model.transformer_config(name), config.string());
  }
  return model;
}

// Each expert's folder of an original directory; empty when it is none.
std::map<std::string, fs::path> original_experts(const fs::path& root) {
  const fs::path high = root / "high_noise_model";
  const fs::path low = root / "low_noise_model";
  if (fs::exists(high / "config.json") || fs::exists(low / "config.json")) {
    return {{"transformer", high}, {"transformer_2", low}};
  }
  if (fs::exists(root / "config.json")) return {{"transformer", root}};
  return {};
}

WanVariant original_variant(const json& config, const std::string& origin) {
  const std::string type = JsonFields(config, origin).string("model_type");
  if (type == "t2v") return WanVariant::kT2V;
  if (type == "i2v") return WanVariant::kI2V;
  if (type == "ti2v") return WanVariant::kTI2V;
  unsupported(origin, "model_type: expected t2v, i2v or ti2v, got '" + printable(type) + "'");
}

ModelDirectory open_original(const fs::path& root, std::map<std::string, fs::path> experts) {
  ModelDirectory model{.root = root,
                       .layout = ModelLayout::kOriginal,
                       .variant = WanVariant::kT2V,
                       .index = {},
                       .paths = std::move(experts),
                       .config_paths = {}};
  for (const auto& [name, folder] : model.paths) {
    const fs::path config_path = folder / "config.json";
    const json config = read_json_file(config_path);
    const WanVariant variant = original_variant(config, config_path.string());
    if (name != "transformer" && variant != model.variant) {
      corrupt(config_path.string(), "model_type: expected that of the other expert, " +
                                        std::string(variant_name(model.variant)) + ", got " +
                                        std::string(variant_name(variant)));
    }
    model.variant = variant;
    model.index.components.emplace(name, ComponentClass{"wan", "WanModel"});
  }
  model.index.expand_timesteps = model.variant == WanVariant::kTI2V;
  model.index.class_name = model.variant == WanVariant::kI2V ? kImagePipeline : kTextPipeline;
  if (model.has("transformer_2")) {
    // wan_t2v_A14B.py and wan_i2v_A14B.py: boundary
    model.index.boundary_ratio = model.variant == WanVariant::kI2V ? 0.9 : 0.875;
  }
  for (const auto& [name, folder] : model.paths) {
    detect_variant(model.index, model.transformer_config(name), (folder / "config.json").string());
  }
  for (const char* name : {"vae", "text_encoder", "tokenizer"}) {
    const fs::path path = root / original_file(model.variant, name);
    if (fs::exists(path)) model.paths.emplace(name, path);
  }
  return model;
}

}  // namespace

std::string_view variant_name(WanVariant variant) {
  switch (variant) {
    case WanVariant::kT2V:
      return "T2V";
    case WanVariant::kI2V:
      return "I2V";
    case WanVariant::kTI2V:
      return "TI2V";
  }
  return "unknown";
}

ModelIndex parse_model_index(std::string_view text, const std::string& origin) {
  const json root = parse_json(text, origin);
  const JsonFields fields(root, origin);
  ModelIndex index;
  index.class_name = fields.string("_class_name");
  if (index.class_name != kTextPipeline && index.class_name != kImagePipeline) {
    unsupported(origin, "_class_name: expected " + std::string(kTextPipeline) + " or " +
                            std::string(kImagePipeline) + ", got '" + printable(index.class_name) +
                            "'");
  }
  index.expand_timesteps = fields.boolean_or("expand_timesteps", false);
  if (fields.has("boundary_ratio")) index.boundary_ratio = fields.number("boundary_ratio", 0, 1);
  for (const auto& [key, value] : root.items()) {
    if (key.starts_with('_') || key == "boundary_ratio" || key == "expand_timesteps") continue;
    const KnownComponent* known = find_known(key);
    const std::optional<ComponentClass> component = parse_component(key, value, origin);
    if (!component) continue;
    if (known == nullptr) unsupported(origin, "unknown component '" + printable(key) + "'");
    check_component(*known, *component, origin);
    index.components.emplace(key, *component);
  }
  for (const KnownComponent& known : kKnownComponents) {
    if (known.required && index.components.count(known.name) == 0) {
      corrupt(origin, std::string("component '") + known.name + "' is missing");
    }
  }
  check_cascade(index, origin);
  return index;
}

ModelIndex read_model_index(const fs::path& path) {
  return parse_model_index(read_file(path, JsonLimits{}.max_bytes), path.string());
}

WanVariant variant_of_index(const ModelIndex& index) {
  if (index.expand_timesteps) return WanVariant::kTI2V;
  return index.class_name == kImagePipeline ? WanVariant::kI2V : WanVariant::kT2V;
}

WanVariant detect_variant(const ModelIndex& index, const json& transformer_config,
                          const std::string& origin) {
  const JsonFields fields(transformer_config, origin);
  const int64_t in = fields.integer("in_channels", 1, kMaxChannels);
  const int64_t out = fields.integer("out_channels", 1, kMaxChannels);
  const bool stacked = index.class_name == kImagePipeline && !index.expand_timesteps;
  const int64_t expected = stacked ? 2 * out + kMaskChannels : out;
  if (in != expected) {
    corrupt(origin, "in_channels: expected " + std::to_string(expected) + " for " +
                        index.class_name + (index.expand_timesteps ? " with" : " without") +
                        " expand_timesteps and " + std::to_string(out) + " out_channels, got " +
                        std::to_string(in));
  }
  return variant_of_index(index);
}

json transformer_config_from_wan(const json& wan_config, const std::string& origin) {
  constexpr int64_t kMaxSize = 1 << 20;
  const JsonFields fields(wan_config, origin);
  const std::string class_name = fields.string("_class_name");
  if (class_name != "WanModel") {
    unsupported(origin, "_class_name: expected WanModel, got '" + printable(class_name) + "'");
  }
  const int64_t dim = fields.integer("dim", 1, kMaxSize);
  const int64_t heads = fields.integer("num_heads", 1, kMaxSize);
  if (dim % heads != 0) {
    corrupt(origin, "dim: expected a multiple of num_heads " + std::to_string(heads) + ", got " +
                        std::to_string(dim));
  }
  return {
      {"_class_name", "WanTransformer3DModel"},
      {"added_kv_proj_dim", nullptr},
      {"attention_head_dim", dim / heads},
      {"cross_attn_norm", fields.boolean_or("cross_attn_norm", true)},
      {"eps", fields.number_or("eps", 1e-6, 0, 1)},
      {"ffn_dim", fields.integer("ffn_dim", 1, kMaxSize)},
      {"freq_dim", fields.integer_or("freq_dim", 256, 1, kMaxSize)},
      {"image_dim", nullptr},
      {"in_channels", fields.integer("in_dim", 1, kMaxChannels)},
      {"num_attention_heads", heads},
      {"num_layers", fields.integer("num_layers", 1, kMaxSize)},
      {"out_channels", fields.integer("out_dim", 1, kMaxChannels)},
      {"patch_size", {1, 2, 2}},
      {"pos_embed_seq_len", nullptr},
      {"qk_norm", "rms_norm_across_heads"},
      {"rope_max_seq_len", 1024},
      {"text_dim", fields.integer_or("text_dim", 4096, 1, kMaxSize)},
  };
}

const fs::path& ModelDirectory::path(const std::string& component) const {
  const auto found = paths.find(component);
  if (found != paths.end()) return found->second;
  std::string message = root.string() + ": no component '" + component + "'";
  if (layout == ModelLayout::kOriginal) {
    const fs::path expected = original_file(variant, component);
    message += ": expected " + expected.string();
    const fs::path pickle = fs::path(expected).replace_extension(".pth");
    if (expected.extension() == ".safetensors" && fs::exists(root / pickle)) {
      message += ", got only " + pickle.string() + ", which must be converted to safetensors first";
    }
  }
  throw Error(Code::kNotFound, message);
}

void ModelDirectory::override_component(const std::string& component, const fs::path& directory) {
  if (!fs::is_directory(directory)) {
    throw Error(Code::kNotFound, directory.string() + ": not a directory");
  }
  if (fs::exists(directory / "config.json")) {
    config_paths.erase(component);
  } else {
    config_paths[component] = config_path(component);
  }
  paths[component] = directory;
}

fs::path ModelDirectory::config_path(const std::string& component) const {
  const auto found = config_paths.find(component);
  return found == config_paths.end() ? path(component) / "config.json" : found->second;
}

json ModelDirectory::transformer_config(const std::string& component) const {
  const fs::path origin = config_path(component);
  json config = read_json_file(origin);
  const std::string class_name = JsonFields(config, origin.string()).string("_class_name");
  if (class_name == "WanModel") return transformer_config_from_wan(config, origin.string());
  if (class_name == "WanTransformer3DModel") return config;
  unsupported(origin.string(), "_class_name: expected WanTransformer3DModel or WanModel, got '" +
                                   printable(class_name) + "'");
}

ModelDirectory open_model_directory(const fs::path& root, const std::set<std::string>& replaced) {
  if (!fs::is_directory(root)) throw Error(Code::kNotFound, root.string() + ": not a directory");
  if (fs::exists(root / "model_index.json")) return open_diffusers(root, replaced);
  std::map<std::string, fs::path> experts = original_experts(root);
  if (!experts.empty()) return open_original(root, std::move(experts));
  throw Error(Code::kNotFound,
              root.string() +
                  ": not a Wan2.2 model: expected model_index.json (Diffusers), or "
                  "high_noise_model/config.json and low_noise_model/config.json, or config.json "
                  "(original Wan)");
}

}  // namespace mxvideo::checkpoint
