#include "formats/e2m1.h"

#include "formats/small_float.h"

namespace mxvideo::formats {
namespace {

constexpr SmallFloatLayout kLayout{.mantissa_bits = 1, .bias = 1, .max_code = kE2m1MaxCode};

}  // namespace

uint8_t encode_e2m1(float value, ElementRounding rounding) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 28) & 0x8u;
  return static_cast<uint8_t>(sign | encode_small_float(kLayout, bits & 0x7fffffffu, 0, rounding));
}

}  // namespace mxvideo::formats
