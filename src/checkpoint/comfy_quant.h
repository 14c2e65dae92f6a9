// How ComfyUI marks quantized layers: a U8 tensor "<layer>.comfy_quant" that holds a JSON object,
// or the same objects in the file's metadata under "_quantization_metadata". The scales of its
// format "mxfp8" are swizzled (formats/scale_layout.h). Thread-safe: no state. Source: ComfyUI
// QUANTIZATION.md, comfy/quant_ops.py; comfy-kitchen tensor/mxfp8.py.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace mxvideo::checkpoint {

inline constexpr std::string_view kComfyQuantSuffix = ".comfy_quant";
inline constexpr std::string_view kComfyMetadataKey = "_quantization_metadata";
inline constexpr std::string_view kComfyMxfp8 = "mxfp8";

// The format that a marker names. Throws Code::kCorruptFile.
std::string parse_comfy_format(std::string_view json_text, const std::string& origin);

// {"format": "mxfp8"}: the bytes of a marker tensor.
std::string comfy_marker_text(std::string_view format);

// Layer name as in the file -> format. Throws Code::kCorruptFile.
std::map<std::string, std::string> parse_comfy_metadata(std::string_view json_text,
                                                        const std::string& origin);

}  // namespace mxvideo::checkpoint
