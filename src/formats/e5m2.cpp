#include "formats/e5m2.h"

#include <bit>

#include "formats/small_float.h"

namespace mxvideo::formats {
namespace {

constexpr SmallFloatLayout kLayout{.mantissa_bits = 2, .bias = 15, .max_code = kE5m2MaxCode};

}  // namespace

uint8_t encode_e5m2(float value, ElementRounding rounding) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 24) & 0x80u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint8_t>(sign | kE5m2Nan);
  return static_cast<uint8_t>(sign | encode_small_float(kLayout, magnitude, 0, rounding));
}

}  // namespace mxvideo::formats
