// Copies fp32 values between two layouts of up to eight axes:
//   y[Σ i_a·to_a] = x[Σ i_a·from_a]   for 0 <= i_a < extent_a, a over the axes
// Strides are in floats and not negative. So one operation crops and pastes windows, stacks
// channels, transposes, takes images apart into patches and joins them, and repeats values (stride
// 0 in `from`). x and y do not overlap, and no two indices share an element of y.
//
// Bits are kept where x and y have one type, else values are rounded; but for kClampToOne: -1 below
// -1, 1 above 1, NaN stays NaN.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct CopyAxis {
  int64_t extent = 1;
  int64_t from = 0;  // stride in x
  int64_t to = 0;    // stride in y
};

enum class CopyValues : uint8_t { kAsTheyAre, kClampToOne };

struct CopyNdArgs {
  static constexpr int kMaxAxes = 8;

  DevicePtr<const float> x = nullptr;
  DevicePtr<float> y = nullptr;
  std::array<CopyAxis, kMaxAxes> axes = {};  // in any order
  CopyValues values = CopyValues::kAsTheyAre;
};

std::span<const Row<CopyNdArgs>> copy_nd_rows();
void copy_nd(const CopyNdArgs& args, Context& context);
Workload workload(const CopyNdArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
