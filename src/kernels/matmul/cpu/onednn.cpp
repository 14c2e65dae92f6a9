// oneDNN's sgemm on one tile, one panel of k after the other, into scratch; then the epilogue.
// F32 weights are copied like the others are decoded: their rows are often a power of two apart and
// would share cache sets (a third slower on 512 × 10,240 × 4,096). sgemm packs and blocks inside;
// on one thread its order of summation follows from the shape alone.
#include <algorithm>

#include "kernels/common/sgemm.h"
#include "kernels/matmul/rows.h"

namespace mxvideo::kernels {

void matmul_onednn(const MatmulTile& args) noexcept {
  float* const decoded = args.scratch;
  float* const sums = args.scratch + kMatmulTileColumns * kMatmulTileDepth;
  const int64_t element = dtype_size(args.weight_dtype);
  for (int64_t first = 0; first < args.k; first += kMatmulTileDepth) {
    const int64_t depth = std::min(kMatmulTileDepth, args.k - first);
    for (int64_t j = 0; j < args.n; ++j) {
      const std::byte* row = args.weight + (j * args.k + first) * element;
      decode_weights(row, args.weight_dtype, depth, decoded + j * depth);
    }
    sgemm({.a = args.x + first,
           .a_stride = args.x_stride,
           .b = decoded,
           .b_stride = depth,
           .b_transposed = true,
           .c = sums,
           .c_stride = kMatmulTileColumns,
           .m = args.m,
           .n = args.n,
           .k = depth,
           .add = first > 0});
  }
  apply_epilogue(args.epilogue, {.rows = args.m,
                                 .columns = args.n,
                                 .accumulators = sums,
                                 .accumulator_stride = kMatmulTileColumns,
                                 .y = args.y,
                                 .y_stride = args.y_stride});
}

}  // namespace mxvideo::kernels
