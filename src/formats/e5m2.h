// E5M2 (float8_e5m2): 1 sign, 5 exponent (bias 15), 2 mantissa bits, the upper byte of an FP16;
// largest 57344 (0x7B), infinity 0x7C, NaN 0x7D to 0x7F, subnormal step 2^-16.
// Source: OCP 8-bit Floating Point (OFP8) 1.0. Pure functions; FTZ and DAZ do not matter.
#pragma once

#include <cstdint>

#include "formats/half.h"
#include "formats/rounding.h"

namespace mxvideo::formats {

inline constexpr float kE5m2Max = 57344.0f;
inline constexpr uint8_t kE5m2MaxCode = 0x7b;
inline constexpr uint8_t kE5m2Nan = 0x7f;

// Exact.
inline float decode_e5m2(uint8_t code) {
  return decode_fp16(static_cast<uint16_t>(static_cast<uint32_t>(code) << 8));
}

// Saturates at ±57344, infinities included, as OCP MX asks of elements; NaN becomes 0x7F with the
// sign; the sign of zero is kept.
uint8_t encode_e5m2(float value, ElementRounding rounding);

}  // namespace mxvideo::formats
