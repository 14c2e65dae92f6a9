#include "formats/e4m3.h"

#include "formats/small_float.h"

namespace mxvideo::formats {
namespace {

constexpr SmallFloatLayout kLayout{.mantissa_bits = 3, .bias = 7, .max_code = kE4m3MaxCode};

}  // namespace

uint8_t encode_e4m3_scaled(float value, int exponent, ElementRounding rounding) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 24) & 0x80u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint8_t>(sign | kE4m3Nan);
  if (magnitude == 0x7f800000u) return static_cast<uint8_t>(sign | kE4m3MaxCode);
  return static_cast<uint8_t>(sign | encode_small_float(kLayout, magnitude, exponent, rounding));
}

uint8_t encode_e4m3(float value, ElementRounding rounding) {
  return encode_e4m3_scaled(value, 0, rounding);
}

}  // namespace mxvideo::formats
