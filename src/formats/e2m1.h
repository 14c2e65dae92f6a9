// E2M1 (float4_e2m1fn), the element of MXFP4: 1 sign, 2 exponent (bias 1), 1 mantissa bit in the
// lower half of a byte: ±0, 0.5, 1, 1.5, 2, 3, 4, 6; neither infinity nor NaN.
// Source: OCP Microscaling Formats (MX) v1.0. Pure functions; FTZ and DAZ do not matter.
#pragma once

#include <bit>
#include <cstdint>

#include "formats/rounding.h"

namespace mxvideo::formats {

inline constexpr float kE2m1Max = 6.0f;
inline constexpr uint8_t kE2m1MaxCode = 0x7;

// Exact; the upper half of the byte is ignored.
inline float decode_e2m1(uint8_t code) {
  const uint32_t sign = static_cast<uint32_t>(code & 0x8u) << 28;
  const uint32_t magnitude = code & 0x7u;
  const uint32_t bits = magnitude < 2 ? magnitude * 0x3f000000u : (magnitude << 22) + (126u << 23);
  return std::bit_cast<float>(sign | bits);
}

// Saturates at ±6, infinities and NaN included: in an MX block NaN is a matter of the scale. The
// sign of zero is kept.
uint8_t encode_e2m1(float value, ElementRounding rounding);

}  // namespace mxvideo::formats
