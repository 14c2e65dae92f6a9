// How the layers of a transformer are stored, as their tensors tell. Thread-safe: no state.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "formats/dtype.h"

namespace mxvideo::checkpoint {

struct StoredLayer {
  DType weight = DType::kF32;
  bool quantized = false;  // by the type of the weight, or since it has scales
};

// Layers with a matrix as weight, or with scales, by canonical name.
std::map<std::string, StoredLayer> stored_layers(const Checkpoint& checkpoint);

// "blocks.0.attn1.to_q" of "blocks.0.attn1.to_q.weight"; nullopt without the suffix.
std::optional<std::string> strip_suffix(const std::string& name, std::string_view suffix);

// The layer whose quantized form this tensor belongs to; nullopt for float tensors.
std::optional<std::string> quantized_layer_of(const std::string& name, const TensorView& view);

// Of a layer's tensors beside weight, weight_scale and bias, the first that changes what its weight
// or its activations are: "input_scale"; empty without one.
std::string foreign_part(const Checkpoint& checkpoint, const std::string& layer);

// SGLang's name of the scales, the same bytes.
inline constexpr std::string_view kScaleInverse = ".weight_scale_inv";

}  // namespace mxvideo::checkpoint
