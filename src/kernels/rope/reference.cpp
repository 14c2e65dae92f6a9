#include "kernels/rope/rows.h"

namespace mxvideo::kernels {

void rope_reference(const RopeArgs& args) noexcept {
  const int64_t pairs = args.head_dim / 2;
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t head = 0; head < args.heads; ++head) {
      float* x = args.x + (row * args.heads + head) * args.head_dim;
      for (int64_t j = 0; j < pairs; ++j) {
        const double a = x[2 * j];
        const double b = x[2 * j + 1];
        const double cos = args.cos[row * pairs + j];
        const double sin = args.sin[row * pairs + j];
        x[2 * j] = static_cast<float>(a * cos - b * sin);
        x[2 * j + 1] = static_cast<float>(a * sin + b * cos);
      }
    }
  }
}

}  // namespace mxvideo::kernels
