// The MX block: 32 elements along the reduction axis that share one E8M0 scale byte. The law for
// every number that mxvideo stores in MXFP8.
//
// Source: OCP Microscaling Formats (MX) v1.0, section 5 and 6.3; the scale rules beyond the OCP
// sample are those of torchao (floor, ceil, even, rceil) and of the Ascend and msmodelslim
// quantizers. Pure functions. Quantizing is integer arithmetic, so that FTZ and DAZ do not matter;
// dequantizing needs both off where values are fp32 subnormals.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "formats/rounding.h"

namespace mxvideo::formats {

inline constexpr int kMxBlockSize = 32;

// How the scale byte follows from the largest magnitude A of a block. emax is 8 for E4M3.
enum class ScaleRule : uint8_t {
  kRceil,  // smallest power of two with A / scale <= 448 (NVIDIA, TransformerEngine); the default
  kFloor,  // floor(log2 A) - emax (OCP sample, Ascend scaleAlg 0); the block maximum may saturate
  kCeil,   // ceil(log2 A) - emax
  kEven,   // floor after rounding A to the element's mantissa width
};

struct MxOptions {
  ScaleRule scale_rule = ScaleRule::kRceil;
  ElementRounding rounding = ElementRounding::kNearestEven;
  // With kFloor, as on Ascend (scaleAlg 0): the elements of a block whose maximum is below 2^-118
  // become zero and keep their signs; the scale byte is 0 by the rule. Other rules ignore it.
  bool flush_tiny_blocks = false;
  bool operator==(const MxOptions&) const = default;
};

std::string_view scale_rule_name(ScaleRule rule);   // "rceil", "floor", …
ScaleRule parse_scale_rule(std::string_view name);  // throws Code::kInvalidArgument

// Scale byte of a block whose largest magnitude has the fp32 bits `amax_bits` (sign cleared; NaN
// and infinity give 255, zero gives 0).
constexpr uint8_t e4m3_scale_byte(uint32_t amax_bits, ScaleRule rule) {
  constexpr int kEmax = 8;
  // 448 = 1.75 · 2^8: amax / 448 is a power of two exactly when the mantissa of amax is 1.75.
  constexpr uint32_t kMantissaOfMax = 0x600000;
  constexpr uint32_t kHalfElementStep = 1u << (23 - 3 - 1);
  if (amax_bits >= 0x7f800000u) return 255;
  const uint32_t mantissa = amax_bits & 0x7fffffu;
  int byte = static_cast<int>(amax_bits >> 23) - kEmax;
  switch (rule) {
    case ScaleRule::kRceil:
      byte += mantissa > kMantissaOfMax;
      break;
    case ScaleRule::kFloor:
      break;
    case ScaleRule::kCeil:
      byte += mantissa > 0;
      break;
    case ScaleRule::kEven:
      byte = static_cast<int>((amax_bits + kHalfElementStep) >> 23) - kEmax;
      break;
  }
  return static_cast<uint8_t>(byte < 0 ? 0 : byte);
}

// True when flush_tiny_blocks applies to a block with this largest magnitude.
constexpr bool flushes_block(uint32_t amax_bits, const MxOptions& options) {
  constexpr uint32_t kSmallestKept = (127u - 118u) << 23;  // 2^-118
  return options.flush_tiny_blocks && options.scale_rule == ScaleRule::kFloor &&
         amax_bits < kSmallestKept;
}

// Quantizes one block. A block that holds NaN or infinity gets scale 255 and all codes 0x7F.
// The sign of zero is kept. Returns the scale byte.
uint8_t quantize_mxfp8_block(std::span<const float, kMxBlockSize> values, const MxOptions& options,
                             std::span<uint8_t, kMxBlockSize> codes);

// values[i] = e4m3(codes[i]) · 2^(scale - 127), exact; infinite from 2^128 on; NaN when scale is
// 255.
void dequantize_mxfp8_block(std::span<const uint8_t, kMxBlockSize> codes, uint8_t scale,
                            std::span<float, kMxBlockSize> values);

}  // namespace mxvideo::formats
