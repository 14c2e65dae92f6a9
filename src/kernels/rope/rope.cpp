#include "kernels/rope/rope.h"

#include "base/parallel.h"
#include "kernels/rope/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<RopeArgs> kRows[] = {
    ascend_row<Row<RopeArgs>>(rope_ascend),
    {"highway", kCpuNone, accept_all<RopeArgs>, rope_highway},
    {"reference", kCpuNone, accept_all<RopeArgs>, rope_reference},
};

RopeArgs rows_of(const RopeArgs& args, int64_t begin, int64_t count) {
  RopeArgs slice = args;
  slice.x += begin * args.heads * args.head_dim;
  slice.cos += begin * (args.head_dim / 2);
  slice.sin += begin * (args.head_dim / 2);
  slice.rows = count;
  return slice;
}

}  // namespace

std::span<const Row<RopeArgs>> rope_rows() { return kRows; }

void rope(const RopeArgs& args, Context& context) {
  const Row<RopeArgs>& row = select("rope", rope_rows(), args, context);
  if (launched_by(row, args, context)) return;
  context.launch([args, &row] {
    parallel_for(args.rows, 1,
                 [&](int64_t begin, int64_t end) { row.run(rows_of(args, begin, end - begin)); });
  });
}

void rms_norm_rope(const RmsNormArgs& norm, const RopeArgs& args, Context& context) {
  const Row<RmsNormArgs>& norm_row = select("rms_norm", rms_norm_rows(), norm, context);
  const Row<RopeArgs>& rope_row = select("rope", rope_rows(), args, context);
  if (launched_by(norm_row, norm, context)) {
    launched_by(rope_row, args, context);
    return;
  }
  context.launch([norm, args, &norm_row, &rope_row] {
    parallel_for(args.rows, 1, [&](int64_t begin, int64_t end) {
      RmsNormArgs one = norm;
      one.rows = 1;
      for (int64_t row = begin; row < end; ++row) {
        one.x = norm.x + row * norm.dim;
        one.y = norm.y + row * norm.dim;
        norm_row.run(one);
        rope_row.run(rows_of(args, row, 1));
      }
    });
  });
}

}  // namespace mxvideo::kernels
