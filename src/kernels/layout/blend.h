// Cross-fades from x to y along one axis of `steps` positions, in y, fp32:
//   y = x·(1 - share) + y·share,   share = step / steps
// Source: blend_v and blend_h of diffusers' autoencoder_kl_wan.py, which join overlapping tiles.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct BlendStrides {
  int64_t row = 0;   // floats between rows
  int64_t step = 0;  // floats between steps of a row
};

struct BlendArgs {
  DevicePtr<const float> x = nullptr;  // [rows, steps, width]
  DevicePtr<float> y = nullptr;        // [rows, steps, width]
  BlendStrides from = {};              // of x
  BlendStrides to = {};                // of y
  int64_t rows = 0;
  int64_t steps = 0;
  int64_t width = 0;  // floats side by side that share a step
};

std::span<const Row<BlendArgs>> blend_rows();
void blend(const BlendArgs& args, Context& context);
Workload workload(const BlendArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
