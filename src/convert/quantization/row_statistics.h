// How far the codes of one quantized row lie from its values. Runs on the calling thread; the same
// bits for any instruction set: sums are fp32 in eight lanes within a block of 32, double beyond.
#pragma once

#include <cstdint>

#include "formats/mx_block.h"

namespace mxvideo::convert {

struct RowStatistics {
  double signal = 0;  // sum of x²
  double noise = 0;   // sum of (x − q)²
  double worst = 0;   // largest |x − q| divided by the largest |x| of its block
  double amax = 0;
  int64_t saturated = 0;  // elements with |x| / scale > 448 or 127/64
  int64_t flushed = 0;    // elements that were not zero and became zero
};

// `x` and `codes` have k elements, `scales` k/32; k is a multiple of 32. A scale or a code that is
// NaN gives statistics without meaning.
RowStatistics row_statistics(const float* x, const uint8_t* codes, const uint8_t* scales, int64_t k,
                             formats::MxElement element) noexcept;

}  // namespace mxvideo::convert
