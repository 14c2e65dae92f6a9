// INT8 elements of MXINT8: two's complement, an implied scale of 2^-6. Source: OCP Microscaling
// Formats (MX) v1.0, section 5.3.4; -128, which the standard allows, is decoded and never made.
// Pure functions; FTZ, DAZ and the rounding mode do not matter.
#pragma once

#include <cstdint>

#include "formats/rounding.h"

namespace mxvideo::formats {

// Exact: from -2 to 127/64.
inline float decode_int8(uint8_t code) {
  return static_cast<float>(static_cast<int8_t>(code)) * 0x1p-6f;
}

// The code nearest to value · 2^exponent, saturated at ±127, for a finite value and any exponent in
// [-1000, 1000].
uint8_t encode_int8_scaled(float value, int exponent, ElementRounding rounding);

}  // namespace mxvideo::formats
