// How attention in integers rounds: AttentionProducts::kInt8 of attention.h.
//
// After SageAttention (Zhang et al., arXiv 2410.02367), which keeps the second product in FP16:
// here it is in integers too, because a CPU without FP16 units gains nothing from that.
//   k' = k - mean of k over all keys, for each channel: takes the same from all scores of a query,
//        so softmax does not see it, and leaves smaller numbers to round
//   q, k'    -127..127, nearest even, one scale for each row: its largest magnitude / 127
//   weights  0..16,383 of the largest weight of the block of keys, nearest even
//   v        -1,023..1,023, nearest even, one scale for each channel in each block of keys
// Sums of products are exact: head_dim · 127² and 96 · 16,383 · 1,023 are below 2^31.
// A row or channel below 2^-119 counts as zero. One that is not finite gets the scale NaN, and so
// does what it takes part in.
#pragma once

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/attention/attention.h"
#include "kernels/attention/cpu/operand.h"
#include "kernels/attention/rows.h"

namespace mxvideo::kernels {

inline constexpr float kLargestQkCode = 127;
inline constexpr float kLargestWeightCode = 16383;
inline constexpr float kLargestValueCode = 1023;
static_assert(kAttentionKeyBlock * int64_t{16383} * 1023 < int64_t{1} << 31);
// x + kRoundToInteger has x, rounded to nearest even, in the low bits of its mantissa when
// |x| < 2^22.
inline constexpr float kRoundToInteger = 0x1.8p23f;

// The larger magnitude as bits, which order like the numbers and keep NaN and infinity on top.
inline uint32_t larger_magnitude(uint32_t largest, float x) noexcept {
  return std::max(largest, std::bit_cast<uint32_t>(x) & 0x7fffffff);
}

class IntegerQuantizer {
 public:
  IntegerQuantizer() = default;  // of zeros
  // For numbers up to `magnitude`, of which `largest` becomes the code.
  IntegerQuantizer(uint32_t magnitude, float largest) noexcept {
    const auto value = std::bit_cast<float>(magnitude);
    if (!(value <= FLT_MAX)) {
      scale_ = std::numeric_limits<float>::quiet_NaN();
    } else if (value >= 0x1p-119f) {
      scale_ = value / largest;
      inverse_ = largest / value;
    }
  }
  float scale() const noexcept { return scale_; }
  // Any code where the scale is NaN.
  int16_t operator()(float x) const noexcept {
    return static_cast<int16_t>(std::bit_cast<uint32_t>(x * inverse_ + kRoundToInteger));
  }

 private:
  float scale_ = 0;
  float inverse_ = 0;
};

// For row [n] of q.
inline IntegerQuantizer query_quantizer(const float* q, int64_t n) noexcept {
  uint32_t largest = 0;
  for (int64_t d = 0; d < n; ++d) largest = larger_magnitude(largest, q[d]);
  return {largest, kLargestQkCode};
}

// For row [n] of k, less the mean.
inline IntegerQuantizer key_quantizer(const float* k, const float* mean, int64_t n) noexcept {
  uint32_t largest = 0;
  for (int64_t d = 0; d < n; ++d) largest = larger_magnitude(largest, k[d] - mean[d]);
  return {largest, kLargestQkCode};
}

// Adds keys [count, head_dim] to sums [head_dim], in order.
void add_keys(const HeadRows& keys, int64_t count, int64_t head_dim, double* sums) noexcept;

// A block of keys and values of one head into `packed`, the head's part of AttentionBlock::packed;
// reads args.key_mean [heads, head_dim].
void pack_int8_block(const AttentionBlock& args, const PackedKeyValues& layout,
                     const KeyBlock& block, std::byte* packed) noexcept;

}  // namespace mxvideo::kernels
