// The weights of one Wan transformer in any layout that they come in, with what the files declare
// about their quantization: Diffusers, original Wan, msmodelslim (raw, or repacked by SGLang),
// config.json "quantization_config", ComfyUI single files. Names become canonical: Diffusers names,
// without ComfyUI's prefixes and msmodelslim's wrappers. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/key_map.h"
#include "checkpoint/modelslim.h"
#include "formats/mx_block.h"
#include "formats/scale_layout.h"
#include "tensor/dtype.h"

namespace mxvideo::checkpoint {

enum class QuantizationSource : uint8_t { kNone, kModelSlim, kConfigJson, kComfy };
// "none", "modelslim", "config.json", "comfy"
std::string_view quantization_source_name(QuantizationSource source);

// Of the weights in files: F8_E4M3 or I8.
DType stored_dtype(formats::MxElement element);

struct QuantizedLayer {
  std::string type;  // in the words of the file: "W8A8_MXFP8", "mxfp8", "W4A4_MXFP4", …
  // Stored as such elements with an E8M0 scale per 32; nullopt: nothing we have.
  std::optional<formats::MxElement> element;
};

// What the files of one transformer declare. Names are canonical.
struct QuantizationDeclaration {
  QuantizationSource source = QuantizationSource::kNone;
  std::string origin;  // the file or files that declare it, for messages
  formats::ScaleLayout scale_layout = formats::ScaleLayout::kRowMajor;
  std::map<std::string, QuantizedLayer> layers;  // quantized linear layers; all others are float
  std::map<std::string, std::string> attention;  // "blocks.0.attn1" -> "FP8_DYNAMIC", …
  std::vector<std::string> companions;  // tensors that only inform: comfy_quant, to_q_rot, to_k_rot
  ModelSlimDescription description;     // canonical; kModelSlim only

  bool quantized() const { return source != QuantizationSource::kNone; }
};

struct TransformerCheckpoint {
  Checkpoint checkpoint;  // canonical names
  NamingStyle stored_names = NamingStyle::kHuggingFace;
  QuantizationDeclaration quantization;
};

// `weights` is a directory or a safetensors file. Declarations are looked for in this order, the
// first wins: ComfyUI markers in the tensors; quant_model_description*.json in the directory (of
// the file); "quantization_config" in its config.json; the same keys in the metadata of the files.
//
// Throws Code::kNotFound; Code::kCorruptFile for broken declarations, for several that contradict
// each other, for tensors that are quantized (weight of 8 bits, or a scale) without a declaration
// and for declared layers whose tensors are absent or not of the declared kind, all listed
// together; Code::kUnsupported for a quant_method that mxvideo does not know.
TransformerCheckpoint open_transformer_checkpoint(const std::filesystem::path& weights);

}  // namespace mxvideo::checkpoint
