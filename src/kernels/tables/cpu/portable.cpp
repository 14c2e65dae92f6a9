// rope_tables with an angle for each position of an axis instead of one for each token, which are
// far more: the first token at each position holds it, and the others copy.
#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "kernels/tables/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kTokensPerTask = 64;

// Pairs `first` to `first + pairs` of a token belong to an axis, whose next position is `stride`
// tokens away.
struct Axis {
  int64_t first, pairs, positions, stride;

  int64_t position(int64_t token) const { return token / stride % positions; }
};

void make_first_tokens(const RopeTablesArgs& args, const Axis& axis) {
  for (int64_t position = 0; position < axis.positions; ++position) {
    const int64_t to = position * axis.stride * (args.head_dim / 2) + axis.first;
    for (int64_t j = 0; j < axis.pairs; ++j) {
      const double frequency =
          1.0 / std::pow(args.theta, static_cast<double>(j) / static_cast<double>(axis.pairs));
      const double angle = static_cast<double>(position) * frequency;
      args.cos[to + j] = static_cast<float>(std::cos(angle));
      args.sin[to + j] = static_cast<float>(std::sin(angle));
    }
  }
}

}  // namespace

void rope_tables_portable(const RopeTablesArgs& args) noexcept {
  const int64_t plane = args.rows * args.columns;
  if (args.frames * plane == 0) return;
  const int64_t pairs = args.head_dim / 2;
  const int64_t space = args.head_dim / 6;
  const int64_t time = pairs - 2 * space;
  const Axis axes[] = {{0, time, args.frames, plane},
                       {time, space, args.rows, args.columns},
                       {time + space, space, args.columns, 1}};
  for (const Axis& axis : axes) make_first_tokens(args, axis);
  parallel_for(args.frames * plane, kTokensPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      for (const Axis& axis : axes) {
        const int64_t first = axis.position(token) * axis.stride;
        if (first == token) continue;
        const int64_t from = first * pairs + axis.first;
        const int64_t to = token * pairs + axis.first;
        std::copy_n(args.cos + from, axis.pairs, args.cos + to);
        std::copy_n(args.sin + from, axis.pairs, args.sin + to);
      }
    }
  });
}

}  // namespace mxvideo::kernels
