#include "pipeline/numerics_guard.h"

#include <algorithm>
#include <cmath>

#include "kernels/sampler/non_finite.h"

namespace mxvideo::pipeline {

bool all_finite(const Tensor& tensor) {
  return std::ranges::all_of(tensor.values(), [](float value) { return std::isfinite(value); });
}

bool all_finite(const Tensor& tensor, kernels::Context& context) {
  Tensor found = context.tensor({1}, DType::kI32);
  kernels::non_finite({.x = tensor, .count = tensor.count(), .found = found}, context);
  int32_t on_host = 0;
  context.device().download(reinterpret_cast<std::byte*>(&on_host), found.data(), found.bytes());
  return on_host == 0;
}

FirstNonFinite::FirstNonFinite(kernels::Context& context)
    : probe_([this, &context](const std::string& name, const Tensor& value) {
        if (name_.empty() && !all_finite(value, context)) name_ = name;
      }) {}

}  // namespace mxvideo::pipeline
