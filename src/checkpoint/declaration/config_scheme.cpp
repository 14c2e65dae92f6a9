#include "checkpoint/declaration/config_scheme.h"

#include <regex>
#include <utility>

#include "base/error.h"
#include "base/text/glob.h"
#include "base/text/quote.h"
#include "checkpoint/wan/key_map.h"

namespace mxvideo::checkpoint {
namespace {

constexpr size_t kMaxPatternBytes = 512;
constexpr std::string_view kRegexMark = "re:";

}  // namespace

LayerPattern LayerPattern::all() {
  LayerPattern pattern;
  pattern.match_ = [](const std::string&) { return true; };
  return pattern;
}

LayerPattern LayerPattern::module(std::string text) {
  LayerPattern pattern;
  pattern.match_ = [text = std::move(text)](const std::string& name) {
    return name.starts_with(text + ".") || glob_match(text, name);
  };
  return pattern;
}

LayerPattern LayerPattern::regex(const std::string& text, bool anchored,
                                 const std::string& origin) {
  LayerPattern pattern;
  try {
    if (text.size() > kMaxPatternBytes) throw std::regex_error(std::regex_constants::error_space);
    const std::regex expression(text);
    pattern.match_ = [expression, anchored](const std::string& name) {
      return std::regex_search(
          name, expression,
          anchored ? std::regex_constants::match_continuous : std::regex_constants::match_default);
    };
  } catch (const std::regex_error&) {
    throw Error(Code::kCorruptFile,
                origin + ": expected a regular expression, got '" + printable(text) + "'");
  }
  return pattern;
}

bool LayerPattern::matches(const std::string& canonical) const {
  return match_(canonical) || match_(original_transformer_name(canonical));
}

QuantizedLayer mxfp8_layer(std::string type, std::string refusal, std::string weight_only) {
  QuantizedLayer layer{.type = std::move(type), .refusal = std::move(refusal)};
  if (!layer.refusal.empty()) return layer;
  layer.element = formats::MxElement::kE4m3;
  layer.weight_only = std::move(weight_only);
  return layer;
}

std::vector<std::string> string_list(const JsonFields& fields, const std::string& key) {
  std::vector<std::string> strings;
  if (!fields.has(key)) return strings;
  const nlohmann::json& list = fields.raw(key);
  bool good = list.is_array();
  if (good) {
    for (const nlohmann::json& entry : list) {
      good = good && entry.is_string();
      if (good) strings.push_back(entry.get<std::string>());
    }
  }
  if (!good) {
    throw Error(Code::kCorruptFile, fields.origin() + ": " + key +
                                        ": expected an array of strings, got " +
                                        printable(list.dump(), 80));
  }
  return strings;
}

std::vector<LayerPattern> layer_patterns(const JsonFields& fields, const std::string& key) {
  std::vector<LayerPattern> patterns;
  for (const std::string& text : string_list(fields, key)) {
    patterns.push_back(text.starts_with(kRegexMark)
                           ? LayerPattern::regex(text.substr(kRegexMark.size()), true,
                                                 fields.origin() + ": " + key)
                           : LayerPattern::module(text));
  }
  return patterns;
}

}  // namespace mxvideo::checkpoint
