#include "kernels/rms_norm/rms_norm.h"

#include "base/parallel.h"
#include "kernels/rms_norm/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<RmsNormArgs> kRows[] = {
    ascend_row<Row<RmsNormArgs>>(rms_norm_ascend, rms_norm_ascend_reject),
    {"highway", kCpuNone, accept_all<RmsNormArgs>, rms_norm_highway},
    {"reference", kCpuNone, accept_all<RmsNormArgs>, rms_norm_reference},
};

// On all threads.
void run_row(const Row<RmsNormArgs>& row, const RmsNormArgs& args) {
  const int64_t stride = args.x_stride == 0 ? args.dim : args.x_stride;
  parallel_for(args.rows, 1, [&](int64_t begin, int64_t end) {
    RmsNormArgs slice = args;
    slice.x += begin * stride;
    if (args.y != nullptr) slice.y += begin * args.dim;
    if (args.factors != nullptr) slice.factors += begin;
    if (args.found_factors != nullptr) slice.found_factors += begin;
    slice.rows = end - begin;
    row.run(slice);
  });
}

}  // namespace

std::span<const Row<RmsNormArgs>> rms_norm_rows() { return kRows; }

void rms_norm(const RmsNormArgs& args, Context& context) {
  const Row<RmsNormArgs>& row = select("rms_norm", rms_norm_rows(), args, context);
  if (launched_by(row, args, context)) return;
  context.launch([args, &row] { run_row(row, args); });
}

void rms_factors(const Row<RmsNormArgs>& row, const RmsNormArgs& args, float* factors) {
  RmsNormArgs only = args;
  only.found_factors = factors;
  run_row(row, only);
}

}  // namespace mxvideo::kernels
