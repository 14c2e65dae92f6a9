// The weights of one Wan transformer in any layout that they come in, with what the files declare
// about their quantization: Diffusers, original Wan, msmodelslim (raw, or repacked by SGLang),
// config.json "quantization_config", ComfyUI single files. Names become canonical: Diffusers names,
// without ComfyUI's prefixes and msmodelslim's wrappers. Thread-safe: no state.
#pragma once

#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "checkpoint/declaration/quantization_declaration.h"
#include "checkpoint/wan/key_map.h"

namespace mxvideo::checkpoint {

struct TransformerCheckpoint {
  Checkpoint checkpoint;  // canonical names
  NamingStyle stored_names = NamingStyle::kHuggingFace;
  QuantizationDeclaration quantization;
};

// `weights` is a directory or a safetensors file. Declarations are looked for in this order:
// ComfyUI markers in the tensors and in the metadata of every file; quant_model_description*.json
// in the directory (of the file), which wins over a "quantization_config" with a notice; that in
// its config.json, hf_quant_config.json or quantization_config.json and in the metadata of the
// files. What a declaration says and does not run is kept for its reader (QuantizedLayer::refusal).
//
// Throws Code::kNotFound; Code::kCorruptFile for broken declarations, for several that contradict
// each other, for tensors that are quantized (weight of 8 bits, or a scale) without a declaration
// and for declared layers whose tensors are absent or not of the declared kind, all listed
// together; Code::kUnsupported for a quant_method that mxvideo does not know.
TransformerCheckpoint open_transformer_checkpoint(const std::filesystem::path& weights);

}  // namespace mxvideo::checkpoint
