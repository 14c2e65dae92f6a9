// Rotary position embedding on interleaved pairs (2j, 2j+1) of every head, in place:
//   (a, b) -> (a·cos - b·sin, a·sin + b·cos)
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"
#include "kernels/rms_norm/rms_norm.h"

namespace mxvideo::kernels {

struct RopeArgs {
  DevicePtr<float> x = nullptr;          // [rows, heads, head_dim]
  DevicePtr<const float> cos = nullptr;  // [rows, head_dim/2]
  DevicePtr<const float> sin = nullptr;  // [rows, head_dim/2]
  int64_t rows = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;  // even
};

std::span<const Row<RopeArgs>> rope_rows();
void rope(const RopeArgs& args, Context& context);
Workload workload(const RopeArgs& args);  // common/workload.h

// The bits of rms_norm() followed by rope(), row by row while a row is in the cache; norm.y is
// args.x. Rows come from both tables.
void rms_norm_rope(const RmsNormArgs& norm, const RopeArgs& args, Context& context);

}  // namespace mxvideo::kernels
