#include "evaluation/scheme_variant.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/text/nearest_name.h"
#include "formats/mx_block.h"

namespace mxvideo::evaluation {
namespace {

constexpr std::string_view kInt8Attention = "+int8-attention";

[[noreturn]] void refuse(std::string_view list, const std::string& reason) {
  throw Error(Code::kInvalidArgument, "schemes '" + std::string(list) + "': " + reason);
}

// The table's own spelling.
std::string known_scheme(std::string_view list, std::string_view scheme) {
  const std::vector<std::string> names = quantization::scheme_names(quantization::SchemeSet::kAll);
  const std::string found = find_any_case(scheme, names);
  if (!found.empty()) return found;
  refuse(list, "unknown scheme '" + std::string(scheme) + "'; expected one of " +
                   join_names(names) + did_you_mean(scheme, names));
}

std::string in_lower_case(std::string_view text) {
  std::string result;
  for (const char c : text) {
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

SchemeVariant parse_one(std::string_view list, std::string_view given) {
  const std::string lower = in_lower_case(given);
  std::string_view item = lower;
  SchemeVariant variant{.name = lower, .options = {}};
  variant.int8_attention = item.ends_with(kInt8Attention);
  if (variant.int8_attention) item.remove_suffix(kInt8Attention.size());
  const size_t colon = item.find(':');
  const std::string_view scheme = item.substr(0, colon);
  if (scheme.empty())
    refuse(list, "expected SCHEME or SCHEME:RULE between commas, got an empty one");
  variant.options.scheme = known_scheme(list, scheme);
  if (colon == std::string_view::npos) return variant;
  if (!quantization::quantizes(scheme))
    refuse(list, "'none' has no block scales, so no scale rule");
  try {
    variant.options.mx.scale_rule = formats::parse_scale_rule(item.substr(colon + 1));
  } catch (const Error& error) {
    refuse(list, error.what());
  }
  return variant;
}

bool same(const SchemeVariant& a, const SchemeVariant& b) {
  return a.options.scheme == b.options.scheme && a.options.mx == b.options.mx &&
         a.int8_attention == b.int8_attention;
}

}  // namespace

void SchemeVariant::apply(pipeline::PipelineOptions& pipeline) const {
  pipeline.quantization = options;
  if (int8_attention) pipeline.policy.attention = kernels::AttentionProducts::kInt8;
}

std::vector<SchemeVariant> parse_scheme_variants(std::string_view list) {
  std::vector<SchemeVariant> variants;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    SchemeVariant variant = parse_one(list, list.substr(begin, end - begin));
    for (const SchemeVariant& other : variants) {
      if (!same(variant, other)) continue;
      refuse(list, variant.name == other.name
                       ? "'" + variant.name + "' is listed twice"
                       : "'" + other.name + "' and '" + variant.name + "' are the same");
    }
    variants.push_back(std::move(variant));
    begin = end + 1;
  }
  return variants;
}

}  // namespace mxvideo::evaluation
