// Whether block scales look as if they lay in the other order than the declared one. Bytes cannot
// prove it (formats/scale_layout.h), but trained weights have rows and input channels of differing
// size, so that in the right order the means of rows and of columns explain a part of the scales'
// variance that they do not explain in the wrong one. A band of 128 rows is the same bytes in both
// orders, hence what is left unexplained can be compared. Weights without such structure give no
// evidence, and then nothing is said. Advice only: no bit depends on it.
//
// Not thread-safe only in that it drops pages of the files that it read.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "checkpoint/transformer_checkpoint.h"

namespace mxvideo::checkpoint {

// What one band says. Positive: the row-major order leaves less unexplained than the swizzled one;
// (s - r) / (s + r) of the two sums of squares, 0 when both are 0.
struct BandContrast {
  double value = 0;
  double noise = 0;  // standard deviation of `value` for scales without structure
};

// `bytes` are 128·columns scales, columns a multiple of 4.
BandContrast contrast_of_band(const uint8_t* bytes, int64_t columns);

struct ScaleOrderEvidence {
  int64_t layers = 0;
  int64_t bands = 0;
  double contrast = 0;  // mean over the bands; positive: speaks for the declared order
  bool other_order = false;
};

// Means, and whether they are beyond chance.
ScaleOrderEvidence judge_bands(std::span<const BandContrast> bands, formats::ScaleLayout declared);

// How much is read; evenly spread.
struct ScaleOrderSample {
  int64_t layers = 8;
  int64_t bands = 2;  // of each layer
};

// Layers whose sizes leave both orders possible: n a multiple of 128, k of 128. Others cannot be
// mistaken, their scales would have another shape.
ScaleOrderEvidence examine_scale_order(const TransformerCheckpoint& opened,
                                       const ScaleOrderSample& sample = {});

// A line for the user; empty when the order looks as declared or there is no evidence.
std::string scale_order_warning(const TransformerCheckpoint& opened,
                                const ScaleOrderSample& sample = {});

}  // namespace mxvideo::checkpoint
