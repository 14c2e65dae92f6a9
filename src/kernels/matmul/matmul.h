// y = epilogue(X Wᵀ + bias) with fp32 activations and dense weights in F32, BF16 or F16.
//
// 16-bit weights are decoded exactly to fp32 panel by panel, so a large text encoder never exists
// in fp32 as a whole. `weight` may be unaligned (a mapped file). Accumulation is fp32 (the
// reference: double). Work is cut into fixed tiles of the output and each tile is computed by one
// thread, so bits do not depend on the thread count.
//
// Every row keeps, per output and before the epilogue, |error| <= (k + 2)·2^-24·Σ|x·w| (Higham,
// Accuracy and Stability of Numerical Algorithms, section 3.1: any order of summation); the
// epilogue adds the roundings that common/epilogue.h states.
#pragma once

#include <cstdint>
#include <span>

#include "formats/dtype.h"
#include "kernels/common/epilogue.h"
#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct MatmulArgs {
  DevicePtr<const float> x = nullptr;           // [m, k], row stride x_stride
  int64_t x_stride = 0;                         // floats between rows; 0 means k
  DevicePtr<const std::byte> weight = nullptr;  // [n, k] of weight_dtype
  DType weight_dtype = DType::kF32;             // F32, BF16 or F16
  DevicePtr<float> y = nullptr;  // [m, n], row stride y_stride; overlaps no array but residual
  int64_t y_stride = 0;          // floats between rows of y; 0 means n
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  EpilogueArgs epilogue = {};  // the residual may be y
};

// What a row computes: a tile, with working memory of the calling thread (rows.h).
struct MatmulTile;
using MatmulRow = Row<MatmulArgs, MatmulTile>;

std::span<const MatmulRow> matmul_rows();
void matmul(const MatmulArgs& args, Context& context);
Workload workload(const MatmulArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
