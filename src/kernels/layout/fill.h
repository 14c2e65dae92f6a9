// Writes one fp32 value over `rows` runs of `width` floats that begin `stride` floats apart.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct FillArgs {
  DevicePtr<float> y = nullptr;
  float value = 0;
  int64_t rows = 1;
  int64_t width = 0;
  int64_t stride = 0;
};

std::span<const Row<FillArgs>> fill_rows();
void fill(const FillArgs& args, Context& context);
Workload workload(const FillArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
