// y = (x - mean) / sqrt(variance + epsilon) · weight + bias, then · (1 + scale) + shift, per row.
//
// weight/bias (affine) and scale/shift (adaLN modulation) are each optional. Statistics are fp32
// over the row, two passes (the reference: double). In place is allowed. Rows are independent.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"
#include "kernels/common/row_runs.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::kernels {

struct LayerNormArgs {
  DevicePtr<const float> x = nullptr;  // [rows, dim]
  DevicePtr<float> y = nullptr;        // [rows, dim]
  int64_t rows = 0;
  int64_t dim = 0;
  float epsilon = 1e-6f;
  DevicePtr<const float> weight = nullptr;  // [dim] or null
  DevicePtr<const float> bias = nullptr;    // [dim] or null
  DevicePtr<const float> scale = nullptr;   // [vectors, dim] with modulation_stride, or null
  DevicePtr<const float> shift = nullptr;   // likewise; null exactly when scale is
  int64_t modulation_stride = 0;            // floats between vectors of scale and of shift
  DevicePtr<const int32_t> modulation_row =
      nullptr;                   // [rows]: vector for each row; null means vector 0
  RowRuns modulation_runs = {};  // the same of the rows from `first` on, where vectors differ
};

std::span<const Row<LayerNormArgs>> layer_norm_rows();
void layer_norm(const LayerNormArgs& args, Context& context);
Workload workload(const LayerNormArgs& args);  // common/workload.h

// The bits of layer_norm() followed by quantize_mx(), row by row: what is quantized is still in
// the cache, and args.y is not used. `dim` is a multiple of 32. Rows come from both tables.
void layer_norm_mx(const LayerNormArgs& args, const MxOutput& output, Context& context);

}  // namespace mxvideo::kernels
