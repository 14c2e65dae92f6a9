// BF16 and IEEE binary16 (FP16) codecs. Pure functions; FTZ and DAZ do not matter.
#pragma once

#include <bit>
#include <cstdint>

namespace mxvideo::formats {

// Exact; NaN payloads keep their upper bits.
inline float decode_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Exact, subnormals included.
inline float decode_fp16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  if (magnitude < 0x400u) {  // subnormal
    const auto bits_of_value = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
    return std::bit_cast<float>(sign | bits_of_value);
  }
  if (magnitude < 0x7c00u) return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
  return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
}

// Round to nearest, ties to even; overflow becomes infinity; NaN stays NaN (quiet).
uint16_t encode_bf16(float value);
uint16_t encode_fp16(float value);

}  // namespace mxvideo::formats
