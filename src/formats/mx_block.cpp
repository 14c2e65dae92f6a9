#include "formats/mx_block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"
#include "formats/e4m3.h"
#include "formats/e8m0.h"
#include "formats/int8.h"

namespace mxvideo::formats {
namespace {

constexpr std::array<std::pair<ScaleRule, std::string_view>, 4> kRuleNames = {{
    {ScaleRule::kRceil, "rceil"},
    {ScaleRule::kFloor, "floor"},
    {ScaleRule::kCeil, "ceil"},
    {ScaleRule::kEven, "even"},
}};

// As bits, NaN lies above infinity and infinity above every finite magnitude.
uint32_t largest_magnitude_bits(std::span<const float, kMxBlockSize> values) {
  uint32_t largest = 0;
  for (const float value : values) {
    largest = std::max(largest, std::bit_cast<uint32_t>(value) & 0x7fffffffu);
  }
  return largest;
}

}  // namespace

std::string_view scale_rule_name(ScaleRule rule) {
  for (const auto& [candidate, name] : kRuleNames) {
    if (candidate == rule) return name;
  }
  return "unknown";
}

ScaleRule parse_scale_rule(std::string_view name) {
  std::string known;
  for (const auto& [rule, candidate] : kRuleNames) {
    if (candidate == name) return rule;
    known += (known.empty() ? "" : ", ") + std::string(candidate);
  }
  throw Error(Code::kInvalidArgument,
              "unknown scale rule '" + std::string(name) + "'; known: " + known);
}

std::string_view mx_format_name(MxElement element) {
  return element == MxElement::kInt8 ? "mxint8" : "mxfp8";
}

uint8_t quantize_mx_block(std::span<const float, kMxBlockSize> values, const MxOptions& options,
                          std::span<uint8_t, kMxBlockSize> codes) {
  const uint32_t amax_bits = largest_magnitude_bits(values);
  const uint8_t scale = mx_scale_byte(amax_bits, options.element, options.scale_rule);
  if (scale == kE8m0Nan) {
    std::fill(codes.begin(), codes.end(), kE4m3Nan);
    return scale;
  }
  if (flushes_block(amax_bits, options)) {
    for (int i = 0; i < kMxBlockSize; ++i) codes[i] = std::signbit(values[i]) ? 0x80 : 0;
    return scale;
  }
  for (int i = 0; i < kMxBlockSize; ++i) {
    codes[i] = options.element == MxElement::kInt8
                   ? encode_int8_scaled(values[i], 127 - scale, options.rounding)
                   : encode_e4m3_scaled(values[i], 127 - scale, options.rounding);
  }
  return scale;
}

void dequantize_mx_block(std::span<const uint8_t, kMxBlockSize> codes, uint8_t scale,
                         MxElement element, std::span<float, kMxBlockSize> values) {
  const float factor = decode_e8m0(scale);
  for (int i = 0; i < kMxBlockSize; ++i) {
    values[i] =
        (element == MxElement::kInt8 ? decode_int8(codes[i]) : decode_e4m3(codes[i])) * factor;
  }
}

}  // namespace mxvideo::formats
