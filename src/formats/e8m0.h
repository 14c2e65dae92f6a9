// E8M0: a power of two 2^(byte - 127) in one byte; 255 is NaN. The MX block scale.
#pragma once

#include <bit>
#include <cstdint>

namespace mxvideo::formats {

inline constexpr uint8_t kE8m0Nan = 0xff;

// Exact, including 2^-127 (byte 0), which is an fp32 subnormal.
inline float decode_e8m0(uint8_t byte) {
  if (byte == kE8m0Nan) return std::bit_cast<float>(0x7fc00000u);
  return std::bit_cast<float>(byte == 0 ? 0x00400000u : static_cast<uint32_t>(byte) << 23);
}

}  // namespace mxvideo::formats
