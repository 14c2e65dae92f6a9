#include "kernels/layer_norm/layer_norm.h"

#include "base/parallel.h"
#include "kernels/layer_norm/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<LayerNormArgs> kRows[] = {
    {"highway", kCpuNone, accept_all<LayerNormArgs>, layer_norm_highway},
    {"reference", kCpuNone, accept_all<LayerNormArgs>, layer_norm_reference},
};

}  // namespace

std::span<const Row<LayerNormArgs>> layer_norm_rows() { return kRows; }

void layer_norm(const LayerNormArgs& args, Context& context) {
  const Row<LayerNormArgs>& row = select("layer_norm", layer_norm_rows(), args, context);
  parallel_for(args.rows, 1, [&](int64_t begin, int64_t end) {
    LayerNormArgs slice = args;
    slice.x += begin * args.dim;
    slice.y += begin * args.dim;
    slice.rows = end - begin;
    if (slice.modulation_row != nullptr) slice.modulation_row += begin;
    row.run(slice);
  });
}

}  // namespace mxvideo::kernels
