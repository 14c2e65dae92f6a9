// The MX block: 32 elements along the reduction axis that share one E8M0 scale byte. The law for
// every number that mxvideo stores in MXFP8 (E4M3 elements) or MXINT8.
//
// An INT8 element is a two's complement byte that counts steps of 2^-6 of the scale, from -127/64
// to 127/64; -2 exists and is never made.
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

enum class MxElement : uint8_t { kE4m3, kInt8 };

// How the scale byte follows from the largest magnitude A of a block. emax, the exponent of the
// element's largest value, is 8 for E4M3 and 0 for INT8.
enum class ScaleRule : uint8_t {
  kRceil,  // smallest power of two with A / scale <= 448 or 127/64 (NVIDIA, TransformerEngine for
           // E4M3); the default
  kFloor,  // floor(log2 A) - emax (OCP sample, Ascend scaleAlg 0); the block maximum may saturate
  kCeil,   // ceil(log2 A) - emax
  kEven,   // floor after rounding A to the element's mantissa width
};

struct MxOptions {
  MxElement element = MxElement::kE4m3;
  ScaleRule scale_rule = ScaleRule::kRceil;
  ElementRounding rounding = ElementRounding::kNearestEven;
  // With kFloor and E4M3, as on Ascend (scaleAlg 0): the elements of a block whose maximum is below
  // 2^-118 become zero and keep their signs; the scale byte is 0 by the rule. Other rules and INT8
  // ignore it.
  bool flush_tiny_blocks = false;
  bool operator==(const MxOptions&) const = default;
};

// "mxfp8" or "mxint8": of the format that has these elements.
std::string_view mx_format_name(MxElement element);

std::string_view scale_rule_name(ScaleRule rule);   // "rceil", "floor", …
ScaleRule parse_scale_rule(std::string_view name);  // throws Code::kInvalidArgument

// Exponent of an element's largest value.
constexpr int mx_emax(MxElement element) { return element == MxElement::kInt8 ? 0 : 8; }

// What carries into the exponent of a largest magnitude, added to its fp32 bits, when the rule
// takes the scale above its binade's.
constexpr uint32_t scale_rule_carry(MxElement element, ScaleRule rule) {
  const bool int8 = element == MxElement::kInt8;
  constexpr uint32_t kMantissa = 0x7fffff;
  // The largest elements are 1.75 · 2^8 and (1 + 63/64) · 2^0: amax divided by one is a power of
  // two exactly when their mantissas are the same.
  const uint32_t mantissa_of_max = int8 ? 0x7e0000 : 0x600000;
  switch (rule) {
    case ScaleRule::kRceil:
      return kMantissa - mantissa_of_max;
    case ScaleRule::kFloor:
      return 0;
    case ScaleRule::kCeil:
      return kMantissa;
    case ScaleRule::kEven:
      break;
  }
  return 1u << (23 - (int8 ? 6 : 3) - 1);  // half of an element's step
}

// Scale byte of a block whose largest magnitude has the fp32 bits `amax_bits` (sign cleared; NaN
// and infinity give 255, zero gives 0).
constexpr uint8_t mx_scale_byte(uint32_t amax_bits, MxElement element, ScaleRule rule) {
  if (amax_bits >= 0x7f800000u) return 255;
  // Subnormals as if fp32 reached one binade further down; what is smaller has the smallest scale.
  if (amax_bits < 0x800000u) amax_bits = amax_bits < 0x400000u ? 0 : 2 * amax_bits - 0x800000u;
  const uint32_t rounded = amax_bits + scale_rule_carry(element, rule);
  const int byte = static_cast<int>(rounded >> 23) - mx_emax(element);
  constexpr int kLargest = 254;  // INT8 saturates there
  return static_cast<uint8_t>(byte < 0 ? 0 : byte > kLargest ? kLargest : byte);
}

// True when flush_tiny_blocks applies to a block with this largest magnitude.
constexpr bool flushes_block(uint32_t amax_bits, const MxOptions& options) {
  constexpr uint32_t kSmallestKept = (127u - 118u) << 23;  // 2^-118
  return options.flush_tiny_blocks && options.scale_rule == ScaleRule::kFloor &&
         options.element == MxElement::kE4m3 && amax_bits < kSmallestKept;
}

// Quantizes one block. A block that holds NaN or infinity gets scale 255 and all codes 0x7F.
// E4M3 keeps the sign of zero. Returns the scale byte.
uint8_t quantize_mx_block(std::span<const float, kMxBlockSize> values, const MxOptions& options,
                          std::span<uint8_t, kMxBlockSize> codes);

// values[i] = element(codes[i]) · 2^(scale - 127), exact; infinite from 2^128 on; NaN when scale is
// 255.
void dequantize_mx_block(std::span<const uint8_t, kMxBlockSize> codes, uint8_t scale,
                         MxElement element, std::span<float, kMxBlockSize> values);

}  // namespace mxvideo::formats
