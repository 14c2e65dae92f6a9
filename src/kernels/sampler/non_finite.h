// Looks for NaN and infinity, and writes what it found where the values are: 0 when all are finite,
// else 1.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct NonFiniteArgs {
  DevicePtr<const float> x = nullptr;  // [count]
  int64_t count = 0;
  DevicePtr<int32_t> found = nullptr;  // [1]
};

std::span<const Row<NonFiniteArgs>> non_finite_rows();
void non_finite(const NonFiniteArgs& args, Context& context);
Workload workload(const NonFiniteArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
