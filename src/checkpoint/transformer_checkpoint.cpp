#include "checkpoint/transformer_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "checkpoint/comfy_quant.h"
#include "checkpoint/declaration/comfy_declaration.h"
#include "checkpoint/declaration/config_declaration.h"
#include "checkpoint/declaration/declared_keys.h"
#include "checkpoint/declaration/modelslim_declaration.h"
#include "checkpoint/declaration/stored_layers.h"
#include "checkpoint/modelslim.h"
#include "checkpoint/wan/model_family.h"
#include "formats/mx_block.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kScale = ".weight_scale";

[[noreturn]] void corrupt(const std::string& origin, const std::string& what) {
  throw Error(Code::kCorruptFile, origin + ": " + what);
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

// SGLang's spelling of the scales, for files whose config.json declares them.
void rename_inverse_scales(Checkpoint& checkpoint) {
  std::map<std::string, std::string> new_names;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (const auto layer = strip_suffix(name, kScaleInverse)) {
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

  const auto description = find_modelslim_description(directory);
  const std::string config =
      comfy.quantized() || description ? find_config_declaration(directory, checkpoint) : "";
  if (comfy.quantized()) {
    const std::string other = description ? description->string() : config;
    if (other.empty()) return comfy;
    corrupt(other, "contradicts the comfy_quant markers in " + checkpoint.description() +
                       "; remove one of them");
  }
  if (description) {
    QuantizationDeclaration declared = modelslim_declaration(*description);
    if (!config.empty()) {
      declared.notices.push_back(config + " is ignored: " + declared.origin +
                                 " declares the quantization");
    }
    return declared;
  }
  std::optional<QuantizationDeclaration> declared = config_declaration(directory, checkpoint);
  if (!declared) return {};
  rename_inverse_scales(checkpoint);
  return *std::move(declared);
}

// What the tensors add: sizes, and parts that a layer of its kind does not have.
void complete_layers(QuantizationDeclaration& declaration, const Checkpoint& checkpoint) {
  for (auto& [name, layer] : declaration.layers) {
    const auto weight = checkpoint.tensors().find(name + std::string(kWeight));
    if (weight != checkpoint.tensors().end()) layer.weights = weight->second.view.count();
    if (!layer.element) continue;
    const std::string part = foreign_part(checkpoint, name);
    if (part.empty()) continue;
    layer.element.reset();
    layer.weight_only.clear();
    layer.refusal = "a tensor " + part + ", which MXFP8 and MXINT8 do not have";
  }
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
    const auto layer = strip_suffix(name, kScale);
    const bool reported =
        name.ends_with(kWeight) || (layer && declaration.layers.count(*layer) > 0);
    if (tensor && !omissible && !reported && checkpoint.tensors().count(name) == 0) {
      unfollowed.push_back(name);
    }
  }
  std::string problems;
  if (!undeclared.empty()) {
    problems = count_of(std::ssize(undeclared), "quantized tensor") +
               " without a declaration: " + name_list(undeclared);
    const auto family = recognise_family(checkpoint);
    const bool no_declaration_helps = family && family->foreign_form;
    problems += declaration.quantized() ? "; " + declaration.origin + " does not declare them"
                : no_declaration_helps
                    ? ""
                    : "; expected quant_model_description*.json, quantization_config in "
                      "config.json, or comfy_quant markers";
  }
  const auto add = [&](const std::vector<std::string>& names, const char* one,
                       const std::string& what) {
    if (!names.empty()) {
      join_refusal(problems, count_of(std::ssize(names), one) + what + name_list(names));
    }
  };
  add(absent, "layer", " declared by " + declaration.origin + " without a weight: ");
  add(unfollowed, "tensor", " declared by " + declaration.origin + " and missing: ");
  add(ragged, "MXFP8 or MXINT8 layer", " whose weight is not [n, k] with k a multiple of 32: ");
  if (!problems.empty()) refuse_misfit(checkpoint, problems);
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
        tensors.count(strip_suffix(name, ".to_k_rot").value() + std::string(kQuery)) == 0) {
      corrupt(checkpoint.description(), name + " is there without its to_q_rot");
    }
    const auto attention = strip_suffix(name, kQuery);
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

TransformerCheckpoint open_transformer_checkpoint(const fs::path& weights) {
  Checkpoint checkpoint = fs::is_directory(weights) ? Checkpoint::open_directory(weights)
                                                    : Checkpoint::open_file(weights);
  const NamingStyle style = normalize_names(checkpoint, Component::kTransformer);
  QuantizationDeclaration declaration = find_declaration(weights, checkpoint, style);
  complete_layers(declaration, checkpoint);
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
