#include "kernels/rope/rope.h"

#include "base/parallel.h"
#include "kernels/rope/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<RopeArgs> kRows[] = {
    {"highway", kCpuNone, accept_all<RopeArgs>, rope_highway},
    {"reference", kCpuNone, accept_all<RopeArgs>, rope_reference},
};

}  // namespace

std::span<const Row<RopeArgs>> rope_rows() { return kRows; }

void rope(const RopeArgs& args, Context& context) {
  const Row<RopeArgs>& row = select("rope", rope_rows(), args, context);
  parallel_for(args.rows, 1, [&](int64_t begin, int64_t end) {
    RopeArgs slice = args;
    slice.x += begin * args.heads * args.head_dim;
    slice.cos += begin * (args.head_dim / 2);
    slice.sin += begin * (args.head_dim / 2);
    slice.rows = end - begin;
    row.run(slice);
  });
}

}  // namespace mxvideo::kernels
