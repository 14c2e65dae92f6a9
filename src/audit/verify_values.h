// The values of one transformer's tensors: whether they can be numbers of a model, and how far they
// are from an original. Streams one tensor at a time on all threads and drops its pages. Results do
// not depend on the thread count. Not thread-safe: uses the thread pool.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/transformer_checkpoint.h"

namespace mxvideo::audit {

inline constexpr const char* kNanScales = "NaN scales (0xFF)";

// What is wrong with one tensor. Tensors with one cause make one line.
struct TensorProblem {
  std::string tensor;
  std::string cause;   // "NaN codes"
  std::string detail;  // "3 NaN codes, the first in row 17"
};

// "NAME: DETAIL" of a cause with one tensor, "CAUSE in 60 tensors: NAME (DETAIL), NAME, NAME, … and
// 57 more" of others; in the order of their first tensors.
std::vector<std::string> lines_of(const std::vector<TensorProblem>& problems);

struct ValueScan {
  int64_t tensors = 0;
  int64_t blocks = 0;             // of 32 elements, in quantized layers
  int64_t zero_scale_blocks = 0;  // with scale byte 0, that is 2^-127
  std::vector<TensorProblem> problems;
};

// Looks at every E4M3 code and E8M0 scale of quantized layers and at every float.
ValueScan scan_values(const checkpoint::TransformerCheckpoint& opened);

// Distance of a dequantized layer or of a float tensor from the original.
struct ValueDifference {
  std::string name;
  bool quantized = false;
  double sqnr_db = 0;  // of quantized layers; infinite when equal
  double cosine = 1;
  double max_relative_error = 0;  // largest |difference| over the largest |original|
  int64_t different = 0;          // values that differ
  std::string problem;            // empty: within bounds
  std::string cause;              // of the problem, without this tensor's numbers
};

struct Comparison {
  std::vector<ValueDifference> tensors;
  std::vector<TensorProblem> problems;  // names of one side only, wrong shapes
};

// `original` must not be quantized. Quantized layers fail below `min_sqnr_db`, with a hint when the
// other order of scales would not; all other tensors must have equal values.
Comparison compare_values(const checkpoint::TransformerCheckpoint& quantized,
                          const checkpoint::TransformerCheckpoint& original, double min_sqnr_db);

}  // namespace mxvideo::audit
