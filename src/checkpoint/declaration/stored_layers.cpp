#include "checkpoint/declaration/stored_layers.h"

#include <algorithm>
#include <array>

namespace mxvideo::checkpoint {
namespace {

constexpr std::array kCodeTypes = {DType::kF8E4M3, DType::kF8E5M2, DType::kI8, DType::kU8};
constexpr std::array<std::string_view, 2> kScales = {".weight_scale", kScaleInverse};
// Scales of activations, second scales of weights, offsets: no part of MXFP8 or MXINT8.
constexpr std::array<std::string_view, 7> kForeignParts = {
    ".input_scale",  ".pre_quant_scale",   ".weight_offset", ".weight_scale_2",
    ".scale_weight", ".weight_dual_scale", ".mul_scale"};

bool is_code_type(DType dtype) {
  return std::find(kCodeTypes.begin(), kCodeTypes.end(), dtype) != kCodeTypes.end();
}

}  // namespace

std::optional<std::string> strip_suffix(const std::string& name, std::string_view suffix) {
  if (!name.ends_with(suffix) || name.size() == suffix.size()) return std::nullopt;
  return name.substr(0, name.size() - suffix.size());
}

std::map<std::string, StoredLayer> stored_layers(const Checkpoint& checkpoint) {
  std::map<std::string, StoredLayer> layers;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (const auto layer = strip_suffix(name, ".weight")) {
      if (tensor.view.shape.rank() != 2) continue;
      StoredLayer& stored = layers[*layer];
      stored.weight = tensor.view.dtype;
      stored.quantized = stored.quantized || is_code_type(tensor.view.dtype);
    }
    for (const std::string_view part : kScales) {
      if (const auto layer = strip_suffix(name, part)) layers[*layer].quantized = true;
    }
  }
  return layers;
}

std::optional<std::string> quantized_layer_of(const std::string& name, const TensorView& view) {
  for (const std::string_view part : kScales) {
    if (auto layer = strip_suffix(name, part)) return layer;
  }
  for (const std::string_view part : kForeignParts) {
    if (auto layer = strip_suffix(name, part)) return layer;
  }
  return is_code_type(view.dtype) ? strip_suffix(name, ".weight") : std::nullopt;
}

std::string foreign_part(const Checkpoint& checkpoint, const std::string& layer) {
  for (const std::string_view part : kForeignParts) {
    if (checkpoint.tensors().contains(layer + std::string(part)))
      return std::string(part.substr(1));
  }
  return "";
}

}  // namespace mxvideo::checkpoint
