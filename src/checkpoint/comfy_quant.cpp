#include "checkpoint/comfy_quant.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text/json.h"
#include "checkpoint/declaration/declared_keys.h"

namespace mxvideo::checkpoint {
namespace {

using nlohmann::json;

// Of a marker whose format is MXFP8.
constexpr std::array kMarkerKeys = {
    DeclaredKey{"format"},
    DeclaredKey{"full_precision_matrix_mult"},
    DeclaredKey{"orig_shape"},
    DeclaredKey{"orig_dtype"},  // of the weight before; the type of a product is the program's
    DeclaredKey{"params"},      // more keys, of the same names
    DeclaredKey{"group_size", "[32]"},
    DeclaredKey{"block_size", "[32]"},
    DeclaredKey{"scale_dtype", R"(["torch.float8_e8m0fnu", "float8_e8m0fnu", "e8m0"])"},
    DeclaredKey{"symmetric", "[true]"},
    // Other formats' ways to change weights or activations.
    DeclaredKey{"convrot", "[false, 0]"},
    DeclaredKey{"per_row", "[false]"},
    DeclaredKey{"transposed", "[false]"},
};

constexpr std::array kMetadataKeys = {
    DeclaredKey{"format_version", R"(["1.0", "1"])"},
    DeclaredKey{"layers"},
};

ComfyMarker marker_of(const json& marker, const std::string& origin) {
  const JsonFields fields(marker, origin);
  ComfyMarker result{
      .format = fields.string("format"), .full_precision = false, .orig_shape = {}, .refusal = {}};
  if (!result.is_mxfp8()) return result;
  result.full_precision = fields.boolean_or(std::string(kComfyFullPrecision), false);
  if (fields.has("orig_shape")) result.orig_shape = fields.integers("orig_shape", 1, 1 << 30);
  result.refusal = refuse_keys(marker, kMarkerKeys);
  if (const json& params = fields.raw("params"); params.is_object()) {
    join_refusal(result.refusal, refuse_keys(params, kMarkerKeys, "params."));
  }
  return result;
}

}  // namespace

std::string ComfyMarker::text() const {
  std::string text = format;
  if (full_precision) text += ", " + std::string(kComfyFullPrecision);
  if (!refusal.empty()) text += ", " + refusal;
  return text;
}

ComfyMarker parse_comfy_marker(std::string_view json_text, const std::string& origin) {
  return marker_of(parse_json(json_text, origin), origin);
}

std::string comfy_marker_text(std::string_view format, bool full_precision) {
  std::string text = "{\"format\": \"" + std::string(format) + "\"";
  if (full_precision) text += ", \"" + std::string(kComfyFullPrecision) + "\": true";
  return text + "}";
}

std::map<std::string, ComfyMarker> parse_comfy_metadata(std::string_view json_text,
                                                        const std::string& origin) {
  const json root = parse_json(json_text, origin);
  const json& layers = JsonFields(root, origin).raw("layers");
  if (!layers.is_object()) {
    throw Error(Code::kCorruptFile,
                origin + ": layers: expected an object, got " + describe_json(layers));
  }
  const std::string refusal = refuse_keys(root, kMetadataKeys);
  std::map<std::string, ComfyMarker> markers;
  for (const auto& [name, marker] : layers.items()) {
    ComfyMarker parsed = marker_of(marker, origin + ": layer '" + name + "'");
    if (parsed.is_mxfp8()) join_refusal(parsed.refusal, refusal);
    markers.emplace(name, std::move(parsed));
  }
  return markers;
}

}  // namespace mxvideo::checkpoint
