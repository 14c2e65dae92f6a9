// Encoder shared by the formats of at most eight bits: sign, exponent and mantissa of a normalised
// small float, gradual underflow, saturation. Included by the .cpp files of this layer only.
//
// Integer arithmetic throughout: neither FTZ, DAZ nor the rounding mode of the CPU matters.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "formats/rounding.h"

namespace mxvideo::formats {

struct SmallFloatLayout {
  int mantissa_bits;
  int bias;
  uint32_t max_code;  // code of the largest finite magnitude
};

// Code, without its sign, of the magnitude `magnitude` · 2^`exponent`, where `magnitude` holds the
// fp32 bits of a finite or infinite number with the sign cleared.
constexpr uint32_t encode_small_float(const SmallFloatLayout& layout, uint32_t magnitude,
                                      int exponent, ElementRounding rounding) {
  if (magnitude == 0) return 0;
  // magnitude = significand · 2^(biased - 150) with 2^23 <= significand < 2^24.
  int biased = static_cast<int>(magnitude >> 23);
  uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
  if (biased == 0) {
    const int shift = std::countl_zero(magnitude) - 8;
    significand = magnitude << shift;
    biased = 1 - shift;
  }
  biased += exponent;
  const int smallest_normal = 128 - layout.bias;
  const int above = std::max(biased - smallest_normal, 0);
  const int below = std::max(smallest_normal - biased, 0);
  const int dropped_bits = 23 - layout.mantissa_bits + below;
  if (dropped_bits > 24) return 0;  // below half of the smallest subnormal
  const uint32_t half = 1u << (dropped_bits - 1);
  const uint32_t odd = (significand >> dropped_bits) & 1u;
  const uint32_t increment = rounding == ElementRounding::kHalfAway ? half : half - 1 + odd;
  // The hidden bit of a normal number, and a carry out of the mantissa, add one to the exponent.
  const uint32_t steps = (significand + increment) >> dropped_bits;
  return std::min(steps + (static_cast<uint32_t>(above) << layout.mantissa_bits), layout.max_code);
}

}  // namespace mxvideo::formats
