#include <algorithm>
#include <cmath>

#include "kernels/common/activation.h"
#include "kernels/rms_norm/rows.h"

namespace mxvideo::kernels {

void rms_norm_reference(const RmsNormArgs& args) noexcept {
  const auto dim = static_cast<double>(args.dim);
  const auto epsilon = static_cast<double>(args.epsilon);
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.dim;
    float* y = args.y + row * args.dim;
    double squares = 0;
    for (int64_t i = 0; i < args.dim; ++i) squares += static_cast<double>(x[i]) * x[i];
    const double factor = args.kind == RmsNormKind::kMeanSquare
                              ? 1.0 / std::sqrt(squares / dim + epsilon)
                              : std::sqrt(dim) / std::max(std::sqrt(squares), epsilon);
    for (int64_t i = 0; i < args.dim; ++i) {
      const double value = x[i] * factor * args.weight[i];
      y[i] = static_cast<float>(args.silu ? silu_value(value) : value);
    }
  }
}

}  // namespace mxvideo::kernels
