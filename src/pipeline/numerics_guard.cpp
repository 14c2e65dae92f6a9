#include "pipeline/numerics_guard.h"

#include <algorithm>
#include <cmath>

namespace mxvideo::pipeline {

bool all_finite(const Tensor& tensor) {
  return std::ranges::all_of(tensor.values(), [](float value) { return std::isfinite(value); });
}

FirstNonFinite::FirstNonFinite()
    : probe_([this](const std::string& name, const Tensor& value) {
        if (name_.empty() && !all_finite(value)) name_ = name;
      }) {}

}  // namespace mxvideo::pipeline
