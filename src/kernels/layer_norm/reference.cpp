#include <cmath>

#include "kernels/layer_norm/rows.h"

namespace mxvideo::kernels {

void layer_norm_reference(const LayerNormArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.dim;
    float* y = args.y + row * args.dim;
    double sum = 0;
    for (int64_t i = 0; i < args.dim; ++i) sum += x[i];
    const double mean = sum / static_cast<double>(args.dim);
    double squares = 0;
    for (int64_t i = 0; i < args.dim; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(args.dim) +
                                           static_cast<double>(args.epsilon));
    const int64_t vector = args.modulation_row == nullptr ? 0 : args.modulation_row[row];
    for (int64_t i = 0; i < args.dim; ++i) {
      double value = (x[i] - mean) * inverse;
      if (args.weight != nullptr) value *= args.weight[i];
      if (args.bias != nullptr) value += args.bias[i];
      if (args.scale != nullptr) {
        value *= 1.0 + args.scale[vector * args.modulation_stride + i];
        value += args.shift[vector * args.modulation_stride + i];
      }
      y[i] = static_cast<float>(value);
    }
  }
}

}  // namespace mxvideo::kernels
