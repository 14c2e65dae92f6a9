#include <algorithm>
#include <cmath>

#include "kernels/common/activation.h"
#include "kernels/rms_norm/rows.h"

namespace mxvideo::kernels {

namespace {

double factor_of(const RmsNormArgs& args, const float* x) {
  const auto dim = static_cast<double>(args.dim);
  const auto epsilon = static_cast<double>(args.epsilon);
  double squares = 0;
  for (int64_t i = 0; i < args.dim; ++i) squares += static_cast<double>(x[i]) * x[i];
  return args.kind == RmsNormKind::kMeanSquare
             ? 1.0 / std::sqrt(squares / dim + epsilon)
             : std::sqrt(dim) / std::max(std::sqrt(squares), epsilon);
}

}  // namespace

void rms_norm_reference(const RmsNormArgs& args) noexcept {
  const int64_t stride = args.x_stride == 0 ? args.dim : args.x_stride;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * stride;
    const double factor = args.factors == nullptr ? factor_of(args, x) : args.factors[row];
    if (args.found_factors != nullptr) {
      args.found_factors[row] = static_cast<float>(factor);
      continue;
    }
    float* y = args.y + row * args.dim;
    for (int64_t i = 0; i < args.dim; ++i) {
      const double value = x[i] * factor * args.weight[i];
      y[i] = static_cast<float>(args.silu ? silu_value(value) : value);
    }
  }
}

}  // namespace mxvideo::kernels
