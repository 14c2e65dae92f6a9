// E4M3 (float8_e4m3fn): 1 sign, 4 exponent (bias 7), 3 mantissa bits; largest 448 (0x7E), NaN 0x7F
// and 0xFF, no infinity, subnormal step 2^-9. Source: OCP 8-bit Floating Point (OFP8) 1.0.
// Pure functions; FTZ and DAZ do not matter.
#pragma once

#include <bit>
#include <cstdint>

#include "formats/rounding.h"

namespace mxvideo::formats {

inline constexpr float kE4m3Max = 448.0f;
inline constexpr uint8_t kE4m3MaxCode = 0x7e;
inline constexpr uint8_t kE4m3Nan = 0x7f;

// Exact.
inline float decode_e4m3(uint8_t code) {
  const uint32_t sign = static_cast<uint32_t>(code & 0x80u) << 24;
  const uint32_t magnitude = code & 0x7fu;
  if (magnitude == kE4m3Nan) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (magnitude < 8) {  // subnormal
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-9f);
    return std::bit_cast<float>(sign | bits);
  }
  return std::bit_cast<float>(sign | ((magnitude << 20) + (120u << 23)));
}

// Saturates at ±448, infinities included; NaN becomes 0x7F with the sign; the sign of zero is kept.
uint8_t encode_e4m3(float value, ElementRounding rounding);

// encode_e4m3(value · 2^exponent, rounding) with a single rounding, for any exponent in
// [-1000, 1000]: what an MX block does to each element.
uint8_t encode_e4m3_scaled(float value, int exponent, ElementRounding rounding);

}  // namespace mxvideo::formats
