// Which vector (of modulation, of a gate) consecutive rows use, for devices that take a call for
// each run of rows. Plain data only, so that ISA files may include it.
#pragma once

#include <cstdint>

namespace mxvideo::kernels {

struct RowRun {
  int64_t first = 0;
  int64_t count = 0;
  int64_t vector = 0;
};

// The runs of a whole matrix, in order and without gaps, of which a call sees the rows from `first`
// on. Without runs all rows use vector 0. What they lie in lives until the call returns.
struct RowRuns {
  const RowRun* runs = nullptr;
  int64_t count = 0;
  int64_t first = 0;
};

}  // namespace mxvideo::kernels
