// Rows of FP32 or BF16 -> MXFP8 or MXINT8: codes and one E8M0 scale per 32 consecutive elements of
// a row.
//
// Definition: formats/mx_block.h; every row gives the bits of the reference. FTZ and DAZ do not
// matter; the rounding mode is the default, to nearest.
//
// A row of the table runs on the calling thread. The entry splits the matrix into ranges of whole
// blocks, which are independent, so bits do not depend on the thread count.
#pragma once

#include <cstdint>
#include <span>

#include "formats/mx_block.h"
#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct QuantizeMxArgs {
  DevicePtr<const float> x = nullptr;          // [m, k]
  DevicePtr<const uint16_t> x_bf16 = nullptr;  // the same in BF16, instead of x
  DevicePtr<uint8_t> codes = nullptr;          // [m, k]
  DevicePtr<uint8_t> scales = nullptr;         // [m, k/32]
  int64_t m = 0;
  int64_t k = 0;               // multiple of 32
  formats::MxOptions options;  // scale rule, element rounding, flush
};

// Where an op puts its result [m, k] as MXFP8 instead of storing floats.
struct MxOutput {
  DevicePtr<uint8_t> codes = nullptr;   // [m, k]
  DevicePtr<uint8_t> scales = nullptr;  // [m, k/32]
  formats::MxOptions options;
};

// Columns [column, column + columns) of rows [row, row + rows) of a result [m, n]; whole blocks.
struct MxPiece {
  int64_t row = 0;
  int64_t rows = 0;
  int64_t column = 0;
  int64_t columns = 0;
  int64_t n = 0;
};

std::span<const Row<QuantizeMxArgs>> quantize_mx_rows();

// `x` [rows, columns] to its place in `to`, by a row of the table, on the calling thread: for ops
// that make their result piece by piece.
void quantize_mx_piece(void (*quantize)(const QuantizeMxArgs&) noexcept, const float* x,
                       const MxPiece& piece, const MxOutput& to) noexcept;

// Runs the best row on all threads. The input, `codes` and `scales` need the alignment of
// their types only and do not overlap;
// nothing is allocated. Throws as select() does when a row was forced.
void quantize_mx(const QuantizeMxArgs& args, Context& context);
Workload workload(const QuantizeMxArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
