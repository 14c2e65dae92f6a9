#include "checkpoint/comfy_quant.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/json.h"

namespace mxvideo::checkpoint {
namespace {

std::string format_of(const nlohmann::json& marker, const std::string& origin) {
  return JsonFields(marker, origin).string("format");
}

}  // namespace

std::string parse_comfy_format(std::string_view json_text, const std::string& origin) {
  return format_of(parse_json(json_text, origin), origin);
}

std::string comfy_marker_text(std::string_view format) {
  return "{\"format\": \"" + std::string(format) + "\"}";
}

std::map<std::string, std::string> parse_comfy_metadata(std::string_view json_text,
                                                        const std::string& origin) {
  const nlohmann::json root = parse_json(json_text, origin);
  const nlohmann::json& layers = JsonFields(root, origin).raw("layers");
  if (!layers.is_object()) {
    throw Error(Code::kCorruptFile,
                origin + ": layers: expected an object, got " + describe_json(layers));
  }
  std::map<std::string, std::string> formats;
  for (const auto& [name, marker] : layers.items()) {
    formats.emplace(name, format_of(marker, origin + ": layer '" + name + "'"));
  }
  return formats;
}

}  // namespace mxvideo::checkpoint
