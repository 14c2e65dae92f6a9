// What the files of one transformer declare about their quantization, whichever program wrote them.
// Plain data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/modelslim.h"
#include "formats/dtype.h"
#include "formats/mx_block.h"
#include "formats/scale_layout.h"

namespace mxvideo::checkpoint {

enum class QuantizationSource : uint8_t { kNone, kModelSlim, kConfigJson, kComfy };
// "none", "modelslim", "config.json", "comfy"
std::string_view quantization_source_name(QuantizationSource source);

// Of the weights in files: F8_E4M3 or I8.
DType stored_dtype(formats::MxElement element);

// How activations get the scales of their blocks, where files say it.
struct DeclaredRule {
  formats::ScaleRule rule;
  std::string declaration;  // in the words of the file: "act_data_type: mx_fp"

  bool operator==(const DeclaredRule&) const = default;
};

struct QuantizedLayer {
  std::string type;  // in the words of the file: "W8A8_MXFP8", "mxfp8", "W4A4_MXFP4", …
  // Stored as such elements with an E8M0 scale per 32; nullopt: nothing that runs.
  std::optional<formats::MxElement> element = {};
  // Why the layer does not run although its type is known, in the words of the file ("convrot:
  // expected false or 0, got true"); then there is no element.
  std::string refusal = {};
  // What declares that the activations are not quantized, in the words of the file
  // ("full_precision_matrix_mult: true"); empty: they are quantized like the weights.
  std::string weight_only = {};
  std::optional<DeclaredRule> activation_rule = {};  // none: the program's that runs
  int64_t weights = 0;                               // n·k, 0 where the weight is not there

  bool operator==(const QuantizedLayer&) const = default;
};

// "nvfp4", "mxfp8 with convrot: …": what a layer without an element is, for messages.
std::string unsupported_kind(const QuantizedLayer& layer);

// Names are canonical.
struct QuantizationDeclaration {
  QuantizationSource source = QuantizationSource::kNone;
  std::string origin;  // the file or files that declare it, for messages
  formats::ScaleLayout scale_layout = formats::ScaleLayout::kRowMajor;
  std::map<std::string, QuantizedLayer> layers;  // quantized linear layers; all others are float
  std::map<std::string, std::string> attention;  // "blocks.0.attn1" -> "FP8_DYNAMIC", …
  // Tensors that only inform or that other hardware needs: comfy_quant, weight_scalar, to_q_rot, …
  std::vector<std::string> companions;
  std::vector<std::string> notices;  // what is read and has no effect here
  ModelSlimDescription description;  // canonical; kModelSlim only

  bool quantized() const { return source != QuantizationSource::kNone; }
};

}  // namespace mxvideo::checkpoint
