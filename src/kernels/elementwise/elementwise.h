// Elementwise ops on fp32 arrays. `y` may be `x` or `z`.
//   kSilu:     y = x / (1 + e^-x)
//   kGeluTanh: y = x/2 · (1 + tanh(√(2/π)·(x + 0.044715x³)))
//   kGeluTanhMultiply: y = gelu_tanh(x) · z          (T5 gated feed-forward)
//   kAdd:      y = x + z
//   kScaledAdd: y = x + alpha · z
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

enum class ElementwiseOp : uint8_t { kSilu, kGeluTanh, kGeluTanhMultiply, kAdd, kScaledAdd };

struct ElementwiseArgs {
  ElementwiseOp op = ElementwiseOp::kAdd;
  DevicePtr<const float> x = nullptr;  // [count]
  DevicePtr<const float> z = nullptr;  // [count], binary ops only
  DevicePtr<float> y = nullptr;        // [count]
  int64_t count = 0;
  float alpha = 1;  // kScaledAdd only
};

std::span<const Row<ElementwiseArgs>> elementwise_rows();
void elementwise(const ElementwiseArgs& args, Context& context);
Workload workload(const ElementwiseArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
