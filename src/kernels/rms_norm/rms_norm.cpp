#include "kernels/rms_norm/rms_norm.h"

#include "base/parallel.h"
#include "kernels/rms_norm/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<RmsNormArgs> kRows[] = {
    {"highway", kCpuNone, accept_all<RmsNormArgs>, rms_norm_highway},
    {"reference", kCpuNone, accept_all<RmsNormArgs>, rms_norm_reference},
};

}  // namespace

std::span<const Row<RmsNormArgs>> rms_norm_rows() { return kRows; }

void rms_norm(const RmsNormArgs& args, Context& context) {
  const Row<RmsNormArgs>& row = select("rms_norm", rms_norm_rows(), args, context);
  parallel_for(args.rows, 1, [&](int64_t begin, int64_t end) {
    RmsNormArgs slice = args;
    slice.x += begin * args.dim;
    slice.y += begin * args.dim;
    slice.rows = end - begin;
    row.run(slice);
  });
}

}  // namespace mxvideo::kernels
