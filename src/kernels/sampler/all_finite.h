// Whether no value is NaN or infinite, written where the values are: 1 in `result`, else 0.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct AllFiniteArgs {
  const float* x = nullptr;  // [count]
  int64_t count = 0;
  int32_t* result = nullptr;  // [1]
};

std::span<const Row<AllFiniteArgs>> all_finite_rows();
void all_finite(const AllFiniteArgs& args, Context& context);

}  // namespace mxvideo::kernels
