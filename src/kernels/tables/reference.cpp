// The definitions.
#include <cmath>

#include "base/parallel.h"
#include "kernels/tables/rows.h"

namespace mxvideo::kernels {

void rope_tables_reference(const RopeTablesArgs& args) noexcept {
  const int64_t pairs = args.head_dim / 2;
  const int64_t space = args.head_dim / 6;
  const int64_t time = pairs - 2 * space;
  parallel_for(args.frames * args.rows * args.columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      for (int64_t pair = 0; pair < pairs; ++pair) {
        int64_t position = token / (args.rows * args.columns);
        int64_t j = pair;
        if (pair >= time + space) {
          position = token % args.columns;
          j = pair - time - space;
        } else if (pair >= time) {
          position = token / args.columns % args.rows;
          j = pair - time;
        }
        const auto count = static_cast<double>(pair < time ? time : space);
        const double frequency = 1.0 / std::pow(args.theta, static_cast<double>(j) / count);
        const double angle = static_cast<double>(position) * frequency;
        args.cos[token * pairs + pair] = static_cast<float>(std::cos(angle));
        args.sin[token * pairs + pair] = static_cast<float>(std::sin(angle));
      }
    }
  });
}

void time_sinusoid_reference(const TimeSinusoidArgs& args) noexcept {
  const int64_t half = args.dim / 2;
  float* row = args.y;
  for (const float timestep : args.timesteps) {
    for (int64_t i = 0; i < half; ++i) {
      const float exponent = -std::log(10000.0f) * static_cast<float>(i) / static_cast<float>(half);
      const float angle = timestep * std::exp(exponent);
      row[i] = std::cos(angle);
      row[half + i] = std::sin(angle);
    }
    row += args.dim;
  }
}

}  // namespace mxvideo::kernels
