#include "convert/target_layout.h"

#include <algorithm>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/field.h"
#include "base/text/json.h"
#include "checkpoint/wan/key_map.h"

namespace mxvideo::convert {
namespace {

using checkpoint::ModelSlimDescription;
using checkpoint::WanVariant;

constexpr const char* kModelSlimStem = "quant_model_weight_w8a8_";
constexpr const char* kModelSlimDescription = "quant_model_description_w8a8_";
constexpr const char* kDiffusersStem = "diffusion_pytorch_model";
constexpr const char* kDiffusersDescription = "quant_model_description.json";
constexpr const char* kQuantizationConfig = "quantization_config";
constexpr int64_t kWanTextDim = 4096;

std::string comfy_stem(WanVariant variant, bool high_noise, bool quantized) {
  std::string stem = "wan2.2_";
  if (variant == WanVariant::kTI2V) {
    stem += "ti2v";
  } else {
    stem += variant == WanVariant::kI2V ? "i2v_" : "t2v_";
    stem += high_noise ? "high_noise" : "low_noise";
  }
  return stem + (quantized ? "_mxfp8" : "");
}

std::string wan_model_type(WanVariant variant) {
  if (variant == WanVariant::kTI2V) return "ti2v";
  return variant == WanVariant::kI2V ? "i2v" : "t2v";
}

std::string dump(const nlohmann::ordered_json& json) { return json.dump(2) + "\n"; }

std::string wan_model_config(const TransformerConfig& config, WanVariant variant) {
  const models::WanTransformerConfig& sizes = config.sizes;
  nlohmann::ordered_json json = {{"_class_name", "WanModel"},
                                 {"dim", sizes.dim()},
                                 {"eps", config.json.value("eps", 1e-6)},
                                 {"ffn_dim", sizes.ffn_dim},
                                 {"freq_dim", sizes.freq_dim},
                                 {"in_dim", sizes.in_channels},
                                 {"model_type", wan_model_type(variant)},
                                 {"num_heads", sizes.num_heads},
                                 {"num_layers", sizes.num_layers},
                                 {"out_dim", sizes.out_channels},
                                 {"text_len", 512}};
  if (sizes.text_dim != kWanTextDim) json["text_dim"] = sizes.text_dim;
  return dump(json);
}

// The bytes of the file, unless it declares a quantization: the description does that here.
std::string file_text(const TransformerConfig& config) {
  std::string text = read_file(config.file, JsonLimits{}.max_bytes);
  if (text.find(kQuantizationConfig) == std::string::npos) return text;
  auto json = nlohmann::ordered_json::parse(text);
  json.erase(kQuantizationConfig);
  return dump(json);
}

}  // namespace

TargetFiles target_files(Layout layout, WanVariant variant, const std::string& component,
                         std::optional<formats::MxElement> quantized) {
  const bool high_noise = component == kHighNoiseExpert;
  if (layout == Layout::kComfy) {
    return {.folder = {},
            .stem = comfy_stem(variant, high_noise, quantized.has_value()),
            .description = "",
            .config = false,
            .one_file = true};
  }
  if (layout == Layout::kDiffusers) {
    return {.folder = component,
            .stem = kDiffusersStem,
            .description = quantized ? kDiffusersDescription : "",
            .config = true,
            .one_file = false};
  }
  std::filesystem::path folder;
  if (has_two_experts(variant)) folder = high_noise ? "high_noise_model" : "low_noise_model";
  TargetFiles files{.folder = folder,
                    .stem = kDiffusersStem,
                    .description = "",
                    .config = true,
                    .one_file = false};
  if (quantized) {
    const std::string format(formats::mx_format_name(*quantized));
    files.stem = kModelSlimStem + format;
    files.description = kModelSlimDescription + format + ".json";
  }
  return files;
}

std::optional<formats::MxElement> dominant_element(const MxLayers& layers) {
  if (layers.empty()) return std::nullopt;
  const auto int8 =
      std::ranges::count(layers, formats::MxElement::kInt8, &MxLayers::value_type::second);
  return 2 * int8 > std::ssize(layers) ? formats::MxElement::kInt8 : formats::MxElement::kE4m3;
}

std::string refuse_element(Layout layout, formats::MxElement element) {
  if (layout != Layout::kComfy || element != formats::MxElement::kInt8) return {};
  return "ComfyUI has no format with the elements of mxint8; " + field("layout") +
         " modelslim and diffusers "
         "hold them";
}

std::string refuse_weight_only(Layout layout) {
  if (layout == Layout::kComfy) return {};
  return "a quant_model_description cannot say that activations are not quantized; " +
         field("layout") +
         " comfy "
         "can, by full_precision_matrix_mult";
}

std::string target_name(Layout layout, const std::string& canonical) {
  if (layout == Layout::kDiffusers) return canonical;
  return checkpoint::original_transformer_name(canonical);
}

formats::ScaleLayout target_scale_layout(Layout layout) {
  return layout == Layout::kComfy ? formats::ScaleLayout::kSwizzled
                                  : formats::ScaleLayout::kRowMajor;
}

Shape target_scale_shape(Layout layout, const formats::ScaleGrid& grid) {
  if (layout == Layout::kComfy) return {grid.padded_rows(), grid.padded_columns()};
  return {grid.rows, grid.columns};
}

ModelSlimDescription target_description(Layout layout, const ModelSlimDescription& canonical) {
  ModelSlimDescription description{.types = {}, .other = canonical.other};
  for (const auto& [name, type] : canonical.types) {
    if (!description.types.emplace(target_name(layout, name), type).second) {
      throw Error(Code::kCorruptFile, "the description names '" + name + "' twice");
    }
  }
  return description;
}

std::string wan_config_to_keep(const TransformerSource& source, WanVariant variant) {
  const auto metadata = source.opened.checkpoint.metadata();
  const auto kept = metadata.find(kWanConfigMetadataKey);
  if (kept != metadata.end()) return kept->second;
  if (!source.config.of_wan_model) return "";
  std::string text = file_text(source.config);
  return text == wan_model_config(source.config, variant) ? "" : text;
}

std::string target_config_text(Layout layout, WanVariant variant, const TransformerSource& source,
                               const TransformerConfig* preferred) {
  const bool wan_words = layout == Layout::kModelSlim;
  const TransformerConfig& own = source.config;
  for (const TransformerConfig* config : {preferred, &own}) {
    if (config == nullptr || config->file.empty() || config->of_wan_model != wan_words) continue;
    return file_text(*config);
  }
  if (wan_words) {
    std::string kept = wan_config_to_keep(source, variant);
    if (!kept.empty()) return kept;
  }
  const TransformerConfig& known = preferred != nullptr ? *preferred : own;
  if (!known.heads_known) {
    throw Error(Code::kInvalidArgument,
                known.origin +
                    ": the number of heads cannot be told from the tensors, and this layout needs "
                    "a config.json; name the original model with " +
                    field("original_model_path"));
  }
  if (wan_words) return wan_model_config(known, variant);
  nlohmann::ordered_json json = known.json;
  json.erase(kQuantizationConfig);
  return dump(json);
}

}  // namespace mxvideo::convert
