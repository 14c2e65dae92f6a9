// How ComfyUI marks quantized layers: a U8 tensor "<layer>.comfy_quant" that holds a JSON object,
// or the same objects in the file's metadata under "_quantization_metadata". The scales of its
// format "mxfp8" are swizzled (formats/scale_layout.h). Thread-safe: no state. Source: ComfyUI
// QUANTIZATION.md, comfy/ops.py (_load_quantized_module), comfy/quant_ops.py; comfy-kitchen
// tensor/mxfp8.py; convert_to_quant and ComfyUI-QuantOps for hybrid_mxfp8.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::checkpoint {

inline constexpr std::string_view kComfyQuantSuffix = ".comfy_quant";
inline constexpr std::string_view kComfyMetadataKey = "_quantization_metadata";
inline constexpr std::string_view kComfyMxfp8 = "mxfp8";
// The same weights and scales, and "<layer>.weight_scalar" for hardware without MXFP8.
inline constexpr std::string_view kComfyHybridMxfp8 = "hybrid_mxfp8";
inline constexpr std::string_view kComfyWeightScalar = ".weight_scalar";
inline constexpr std::string_view kComfyFullPrecision = "full_precision_matrix_mult";

struct ComfyMarker {
  std::string format;
  bool full_precision = false;      // the product takes decoded weights and float activations
  std::vector<int64_t> orig_shape;  // of the weight; empty: not said
  std::string refusal;              // keys of an MXFP8 marker that change its meaning; else empty

  bool is_mxfp8() const { return format == kComfyMxfp8 || format == kComfyHybridMxfp8; }
  std::string text() const;  // for messages: "mxfp8, full_precision_matrix_mult"
  bool operator==(const ComfyMarker&) const = default;
};

// What a marker says; keys of other formats than MXFP8 are not looked at. Throws
// Code::kCorruptFile.
ComfyMarker parse_comfy_marker(std::string_view json_text, const std::string& origin);

// {"format": "mxfp8"}: the bytes of a marker tensor; with full_precision_matrix_mult where asked.
std::string comfy_marker_text(std::string_view format, bool full_precision = false);

// Layer name as in the file -> marker. Throws Code::kCorruptFile.
std::map<std::string, ComfyMarker> parse_comfy_metadata(std::string_view json_text,
                                                        const std::string& origin);

}  // namespace mxvideo::checkpoint
