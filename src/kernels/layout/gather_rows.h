// Rows of a table by number, as fp32: embeddings, and biases that belong to buckets.
//   y[i·row_stride + j·column_stride] = table[ids[i]][j]
// Exact. The strides let the result be a transpose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "formats/dtype.h"
#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct GatherRowsArgs {
  DevicePtr<const std::byte> table = nullptr;  // [rows, width]
  DType dtype = DType::kF32;                   // F32, BF16 or F16
  int64_t width = 0;
  std::vector<int32_t> ids = {};  // rows of `table`, which the caller has checked
  DevicePtr<float> y = nullptr;
  int64_t row_stride = 0;
  int64_t column_stride = 1;
};

std::span<const Row<GatherRowsArgs>> gather_rows_rows();
// Throws Code::kUnsupported naming another dtype.
void gather_rows(const GatherRowsArgs& args, Context& context);
Workload workload(const GatherRowsArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
