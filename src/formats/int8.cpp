#include "formats/int8.h"

#include <algorithm>
#include <bit>

namespace mxvideo::formats {

uint8_t encode_int8_scaled(float value, int exponent, ElementRounding rounding) {
  constexpr uint32_t kLargest = 127;
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t field = bits >> 23 & 0xffu;
  // |value| = significand · 2^(max(field, 1) - 150); in steps of 2^-6, shifted right by:
  const uint32_t significand = (bits & 0x7fffffu) | (field > 0 ? 0x800000u : 0);
  const int shift = 150 - 6 - exponent - static_cast<int>(std::max(field, 1u));
  uint32_t magnitude = 0;
  if (shift <= 0) {
    magnitude = significand == 0 ? 0 : significand << std::min(-shift, 7);
  } else if (shift < 32) {
    const uint32_t half = 1u << (shift - 1);
    const uint32_t rest = significand & (2 * half - 1);
    magnitude = significand >> shift;
    const bool tie_goes_up = rounding == ElementRounding::kHalfAway || magnitude % 2 != 0;
    if (rest > half || (rest == half && tie_goes_up)) ++magnitude;
  }
  magnitude = std::min(magnitude, kLargest);
  return static_cast<uint8_t>(bits >> 31 != 0 ? -magnitude : magnitude);
}

}  // namespace mxvideo::formats
