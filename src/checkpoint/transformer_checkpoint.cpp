#include "checkpoint/transformer_checkpoint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "checkpoint/comfy_quant.h"
#include "checkpoint/json.h"
#include "checkpoint/quote.h"
#include "formats/mx_block.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kScale = ".weight_scale";
constexpr std::string_view kScaleInverse = ".weight_scale_inv";  // SGLang's name, the same bytes
constexpr std::string_view kAttentionType = ".quant_type";
constexpr const char* kConfigKey = "quantization_config";

[[noreturn]] void corrupt(const std::string& origin, const std::string& what) {
  throw Error(Code::kCorruptFile, origin + ": " + what);
}

// "blocks.0.attn1.to_q" of "blocks.0.attn1.to_q.weight"; nullopt without the suffix.
std::optional<std::string> strip(const std::string& name, std::string_view suffix) {
  if (!name.ends_with(suffix) || name.size() == suffix.size()) return std::nullopt;
  return name.substr(0, name.size() - suffix.size());
}

bool is_attention_module(std::string_view name) {
  return name.ends_with(".attn1") || name.ends_with(".attn2");
}

// Rotations and scales of 8-bit attention, which fp32 attention does not need.
bool informs_attention(std::string_view name) {
  return name.ends_with(".attn1.to_q_rot") || name.ends_with(".attn1.to_k_rot") ||
         name.find(".fa_q.") != name.npos || name.find(".fa_k.") != name.npos ||
         name.find(".fa_v.") != name.npos;
}

// Factors of smooth quantization: without them the activations are wrong and the video is a mosaic.
bool scales_activations(std::string_view name) {
  return name.ends_with(".mul_scale") || name.ends_with(".weight_dual_scale");
}

// The layer whose quantized form this tensor belongs to; nullopt for float tensors.
std::optional<std::string> quantized_layer_of(const std::string& name, const TensorView& view) {
  constexpr std::array kCodeTypes = {DType::kF8E4M3, DType::kF8E5M2, DType::kI8, DType::kU8};
  constexpr std::array<std::string_view, 8> kParts = {
      kScale,          kScaleInverse,        ".input_scale", ".weight_offset", ".weight_scale_2",
      ".scale_weight", ".weight_dual_scale", ".mul_scale"};
  for (const std::string_view part : kParts) {
    if (auto layer = strip(name, part)) return layer;
  }
  const bool codes =
      std::find(kCodeTypes.begin(), kCodeTypes.end(), view.dtype) != kCodeTypes.end();
  return codes ? strip(name, kWeight) : std::nullopt;
}

std::string_view text_of(const TensorView& view) {
  return {reinterpret_cast<const char*>(view.data), static_cast<size_t>(view.bytes())};
}

// ComfyUI's markers, from tensors and from the metadata.
QuantizationDeclaration comfy_declaration(const Checkpoint& checkpoint, NamingStyle style) {
  QuantizationDeclaration declaration;
  const auto declare = [&](const std::string& layer, const std::string& format) {
    QuantizedLayer entry{.type = format, .element = {}};
    if (format == kComfyMxfp8) entry.element = formats::MxElement::kE4m3;
    const auto [position, inserted] = declaration.layers.emplace(layer, entry);
    if (!inserted && position->second.type != format) {
      corrupt(checkpoint.description(), "layer " + printable(layer) + ": comfy_quant says both '" +
                                            printable(position->second.type) + "' and '" +
                                            printable(format) + "'");
    }
  };
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const auto layer = strip(name, kComfyQuantSuffix);
    if (!layer) continue;
    const std::string origin = checkpoint.description() + ": tensor " + printable(name);
    if (tensor.view.dtype != DType::kU8 || tensor.view.shape.rank() != 1) {
      corrupt(origin, "expected U8 [bytes], got " + std::string(dtype_name(tensor.view.dtype)) +
                          " " + tensor.view.shape.to_string());
    }
    declare(*layer, parse_comfy_format(text_of(tensor.view), origin));
    declaration.companions.push_back(name);
  }
  const auto metadata = checkpoint.metadata();
  if (const auto found = metadata.find(std::string(kComfyMetadataKey)); found != metadata.end()) {
    const std::string origin = checkpoint.description() + ": metadata " + found->first;
    for (const auto& [name, format] : parse_comfy_metadata(found->second, origin)) {
      declare(canonical_transformer_name(name, style), format);
    }
  }
  if (declaration.layers.empty()) return declaration;
  declaration.source = QuantizationSource::kComfy;
  declaration.origin = checkpoint.description() + " (comfy_quant)";
  declaration.scale_layout = formats::ScaleLayout::kSwizzled;
  return declaration;
}

QuantizationDeclaration modelslim_declaration(const fs::path& path) {
  QuantizationDeclaration declaration;
  declaration.source = QuantizationSource::kModelSlim;
  declaration.origin = path.string();
  declaration.description = canonical_description(read_modelslim_description(path), path.string());
  for (const auto& [name, type] : declaration.description.types) {
    if (type == kModelSlimFloat) continue;
    if (const auto attention = strip(name, kAttentionType)) {
      declaration.attention.emplace(*attention, type);
    } else if (is_attention_module(name)) {
      declaration.attention.emplace(name, type);
    } else if (const auto layer = strip(name, kWeight)) {
      declaration.layers.emplace(*layer, QuantizedLayer{type, modelslim_element(type)});
    }
  }
  return declaration;
}

// Throws unless a group of compressed-tensors stores weights as MXFP8.
void check_compressed_group(const json& group, const std::string& origin) {
  const JsonFields fields(group, origin);
  const JsonFields weights(fields.raw("weights"), origin + ": weights");
  const bool mxfp8 = weights.integer("num_bits", 1, 64) == 8 && weights.string("type") == "float" &&
                     weights.integer_or("group_size", 0, -1, 1 << 20) == 32;
  if (!mxfp8) {
    throw Error(Code::kUnsupported,
                origin + ": expected MXFP8 weights (num_bits 8, type float, group_size 32), got " +
                    printable(fields.raw("weights").dump()));
  }
}

void check_compressed_tensors(const JsonFields& fields) {
  const std::string format = fields.string_or("format", "mxfp8-quantized");
  if (format != "mxfp8-quantized") {
    throw Error(Code::kUnsupported, fields.origin() + ": format: expected mxfp8-quantized, got '" +
                                        printable(format) + "'");
  }
  const json& groups = fields.raw("config_groups");
  if (!groups.is_object() || groups.empty()) {
    corrupt(fields.origin(),
            "config_groups: expected a non-empty object, got " + describe_json(groups));
  }
  for (const auto& [name, group] : groups.items()) {
    check_compressed_group(group, fields.origin() + ": config_groups '" + printable(name) + "'");
  }
}

void check_mxfp8_config(const JsonFields& fields) {
  if (fields.has("weight_block_size") &&
      fields.integers("weight_block_size", 1, 1 << 20) != std::vector<int64_t>{1, 32}) {
    throw Error(Code::kUnsupported, fields.origin() +
                                        ": weight_block_size: expected [1, 32], got " +
                                        fields.raw("weight_block_size").dump());
  }
}

// Every layer with E4M3 weights is what the config says; which they are the tensors tell.
QuantizationDeclaration config_declaration(const json& config, const std::string& origin,
                                           const Checkpoint& checkpoint) {
  const JsonFields fields(config, origin);
  const std::string method = fields.string("quant_method");
  if (method == "compressed-tensors") {
    check_compressed_tensors(fields);
  } else if (method == "mxfp8") {
    check_mxfp8_config(fields);
  } else {
    throw Error(Code::kUnsupported,
                origin + ": quant_method: expected mxfp8 or compressed-tensors, got '" +
                    printable(method) + "'");
  }
  QuantizationDeclaration declaration;
  declaration.source = QuantizationSource::kConfigJson;
  declaration.origin = origin;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const auto layer = strip(name, kWeight);
    if (layer && tensor.view.dtype == DType::kF8E4M3) {
      declaration.layers.emplace(*layer, QuantizedLayer{"mxfp8", formats::MxElement::kE4m3});
    }
  }
  if (declaration.layers.empty()) {
    corrupt(origin, "declares " + method + ", but " + checkpoint.description() +
                        " holds no F8_E4M3 weight; remove " + kConfigKey +
                        " and ask for --quantization mxfp8 to quantize while loading");
  }
  return declaration;
}

// SGLang's spelling of the scales, for files whose config.json declares them.
void rename_inverse_scales(Checkpoint& checkpoint) {
  std::map<std::string, std::string> new_names;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (const auto layer = strip(name, kScaleInverse)) {
      new_names.emplace(name, *layer + std::string(kScale));
    }
  }
  checkpoint.rename(new_names);
}

QuantizationDeclaration find_declaration(const fs::path& weights, Checkpoint& checkpoint,
                                         NamingStyle style) {
  const bool is_directory = fs::is_directory(weights);
  const fs::path directory = is_directory                ? weights
                             : weights.has_parent_path() ? weights.parent_path()
                                                         : fs::path(".");
  QuantizationDeclaration comfy = comfy_declaration(checkpoint, style);
  // A file with markers speaks for itself; what lies beside it may belong to another file.
  if (comfy.quantized() && !is_directory) return comfy;

  if (const auto description = find_modelslim_description(directory)) {
    if (comfy.quantized()) {
      corrupt(description->string(), "contradicts the comfy_quant markers in " +
                                         checkpoint.description() + "; remove one of them");
    }
    return modelslim_declaration(*description);
  }
  if (comfy.quantized()) return comfy;

  std::optional<QuantizationDeclaration> declared;
  if (const fs::path config_path = directory / "config.json"; fs::exists(config_path)) {
    const json config = read_json_file(config_path);
    const std::string origin = config_path.string() + ": " + kConfigKey;
    if (config.is_object() && config.contains(kConfigKey) && !config[kConfigKey].is_null()) {
      declared = config_declaration(config[kConfigKey], origin, checkpoint);
    }
  }
  const auto metadata = checkpoint.metadata();
  if (const auto found = metadata.find(kConfigKey); !declared && found != metadata.end()) {
    const std::string origin = checkpoint.description() + ": metadata " + kConfigKey;
    declared = config_declaration(parse_json(found->second, origin), origin, checkpoint);
  }
  if (!declared) return {};
  rename_inverse_scales(checkpoint);
  return *std::move(declared);
}

// Quantized tensors that nothing declares, and declarations that no tensor follows.
void check_declaration(const QuantizationDeclaration& declaration, const Checkpoint& checkpoint) {
  std::vector<std::string> undeclared, absent, ragged, unfollowed;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (name.ends_with(kComfyQuantSuffix) || informs_attention(name)) continue;
    const auto layer = quantized_layer_of(name, tensor.view);
    if (layer && declaration.layers.count(*layer) == 0) undeclared.push_back(name);
  }
  for (const auto& [layer, entry] : declaration.layers) {
    const auto weight = checkpoint.tensors().find(layer + std::string(kWeight));
    if (weight == checkpoint.tensors().end()) {
      absent.push_back(layer);
    } else if (const Shape& shape = weight->second.view.shape;
               entry.element && (shape.rank() != 2 || shape[1] % formats::kMxBlockSize != 0)) {
      ragged.push_back(layer + " " + shape.to_string());
    }
  }
  for (const auto& [name, type] : declaration.description.types) {
    const bool tensor = !name.ends_with(kAttentionType) && !is_attention_module(name);
    const bool omissible = type == kModelSlimFloat && !scales_activations(name);
    // Weights are reported by layer, above; scales of our own layers by the loader, with the rest.
    const auto layer = strip(name, kScale);
    const bool reported =
        name.ends_with(kWeight) || (layer && declaration.layers.count(*layer) > 0);
    if (tensor && !omissible && !reported && checkpoint.tensors().count(name) == 0) {
      unfollowed.push_back(name);
    }
  }
  std::string problems;
  if (!undeclared.empty()) {
    problems = std::to_string(undeclared.size()) +
               " quantized tensors without a declaration: " + name_list(undeclared);
    problems += declaration.quantized()
                    ? "; " + declaration.origin + " does not declare them"
                    : "; expected quant_model_description*.json, quantization_config in "
                      "config.json, or comfy_quant markers";
  }
  if (!absent.empty()) {
    problems += std::string(problems.empty() ? "" : "; ") + std::to_string(absent.size()) +
                " layers that " + declaration.origin +
                " declares have no weight: " + name_list(absent);
  }
  if (!unfollowed.empty()) {
    problems += std::string(problems.empty() ? "" : "; ") + std::to_string(unfollowed.size()) +
                " tensors that " + declaration.origin +
                " declares are missing: " + name_list(unfollowed);
  }
  if (!ragged.empty()) {
    problems += std::string(problems.empty() ? "" : "; ") + std::to_string(ragged.size()) +
                " MXFP8 or MXINT8 layers whose weight is not [n, k] with k a multiple of 32: " +
                name_list(ragged);
  }
  if (!problems.empty()) corrupt(checkpoint.description(), problems);
}

// Whether r rᵀ is the identity, as far as numbers of type `stored` can say.
bool is_orthogonal(const Tensor& r, DType stored) {
  const double tolerance = stored == DType::kF32 ? 1e-4 : 2e-2;
  const int64_t n = r.dim(0);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += double{r.f32()[i * n + k]} * r.f32()[j * n + k];
      if (!(std::abs(sum - (i == j ? 1 : 0)) <= tolerance)) return false;
    }
  }
  return true;
}

// A rotation of q and k leaves q kᵀ as it is only when both are rotated alike and by an orthogonal
// matrix; then attention that is not quantized may do without.
void check_rotations(const Checkpoint& checkpoint) {
  constexpr std::string_view kQuery = ".to_q_rot";
  const auto& tensors = checkpoint.tensors();
  for (const auto& [name, query] : tensors) {
    if (name.ends_with(".to_k_rot") &&
        tensors.count(strip(name, ".to_k_rot").value() + std::string(kQuery)) == 0) {
      corrupt(checkpoint.description(), name + " is there without its to_q_rot");
    }
    const auto attention = strip(name, kQuery);
    if (!attention) continue;
    const auto key = tensors.find(*attention + ".to_k_rot");
    if (key == tensors.end()) {
      corrupt(checkpoint.description(), name + " is there without its to_k_rot");
    }
    constexpr int64_t kMaxHeadDim = 1024;
    const Shape& shape = query.view.shape;
    if (shape.rank() != 2 || shape[0] != shape[1] || shape[0] > kMaxHeadDim ||
        !(key->second.view.shape == shape)) {
      corrupt(checkpoint.description(),
              name + ": expected [head_dim, head_dim] as to_k_rot, got " + shape.to_string());
    }
    const Tensor q = to_f32(query.view);
    const Tensor k = to_f32(key->second.view);
    if (!std::ranges::equal(q.values(), k.values()) || !is_orthogonal(q, query.view.dtype)) {
      throw Error(Code::kUnsupported,
                  checkpoint.description() + ": " + name + ": expected one orthogonal matrix for " +
                      "q and k, which attention in fp32 may leave out, got another");
    }
  }
}

}  // namespace

std::string_view quantization_source_name(QuantizationSource source) {
  switch (source) {
    case QuantizationSource::kNone:
      return "none";
    case QuantizationSource::kModelSlim:
      return "modelslim";
    case QuantizationSource::kConfigJson:
      return "config.json";
    case QuantizationSource::kComfy:
      return "comfy";
  }
  return "unknown";
}

DType stored_dtype(formats::MxElement element) {
  return element == formats::MxElement::kInt8 ? DType::kI8 : DType::kF8E4M3;
}

TransformerCheckpoint open_transformer_checkpoint(const fs::path& weights) {
  Checkpoint checkpoint = fs::is_directory(weights) ? Checkpoint::open_directory(weights)
                                                    : Checkpoint::open_file(weights);
  const NamingStyle style = normalize_names(checkpoint, Component::kTransformer);
  QuantizationDeclaration declaration = find_declaration(weights, checkpoint, style);
  check_declaration(declaration, checkpoint);
  check_rotations(checkpoint);
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (informs_attention(name)) declaration.companions.push_back(name);
  }
  return {.checkpoint = std::move(checkpoint),
          .stored_names = style,
          .quantization = std::move(declaration)};
}

}  // namespace mxvideo::checkpoint
