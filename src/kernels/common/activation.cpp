#include "kernels/common/activation.h"

#include <cmath>

namespace mxvideo::kernels {

double silu_value(double x) noexcept { return x / (1.0 + std::exp(-x)); }

double gelu_tanh_value(double x) noexcept {
  constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
  // x · sigmoid(2u) is the same function without the cancellation of 1 + tanh(u) for negative u.
  const double u = kSqrtTwoOverPi * (x + 0.044715 * x * x * x);
  return x / (1.0 + std::exp(-2.0 * u));
}

}  // namespace mxvideo::kernels
