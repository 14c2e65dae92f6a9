#include "kernels/matmul/matmul.h"

#include <algorithm>
#include <memory>

#include "base/checked.h"
#include "base/parallel.h"
#include "kernels/common/thread_scratch.h"
#include "kernels/matmul/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr MatmulRow kRows[] = {
    ascend_row<MatmulRow>(matmul_ascend, matmul_ascend_reject),
    {"matvec", kCpuNone, matvec_reject, matvec_highway},
    {"onednn", kCpuNone, accept_all<MatmulArgs>, matmul_onednn},
    {"reference", kCpuNone, accept_all<MatmulArgs>, matmul_reference},
};

int64_t tile_count(int64_t m, int64_t n) {
  return ceil_div(m, kMatmulTileRows) * ceil_div(n, kMatmulTileColumns);
}

MatmulTile tile_of(const MatmulArgs& args, int64_t first_row, int64_t first_column) {
  MatmulTile tile{args};
  tile.m = std::min(kMatmulTileRows, args.m - first_row);
  tile.n = std::min(kMatmulTileColumns, args.n - first_column);
  tile.x += first_row * args.x_stride;
  tile.weight += first_column * args.k * dtype_size(args.weight_dtype);
  tile.y += first_row * args.y_stride + first_column;
  tile.epilogue = epilogue_at(args.epilogue, first_row, first_column);
  return tile;
}

}  // namespace

std::span<const MatmulRow> matmul_rows() { return kRows; }

void matmul(const MatmulArgs& args, Context& context) {
  MatmulArgs whole = args;
  if (whole.x_stride == 0) whole.x_stride = whole.k;
  if (whole.y_stride == 0) whole.y_stride = whole.n;
  if (whole.epilogue.residual_stride == 0) whole.epilogue.residual_stride = whole.y_stride;
  const MatmulRow& row = select("matmul", matmul_rows(), whole, context);
  if (launched_by(row, whole, context)) return;
  const int64_t tiles = tile_count(whole.m, whole.n);
  const auto scratch = std::make_shared<ThreadScratch>(context.memory(), tiles, kMatmulScratch);
  context.launch([whole, tiles, &row, scratch] {
    const int64_t row_tiles = ceil_div(whole.m, kMatmulTileRows);
    parallel_for(tiles, 1, [&](int64_t begin, int64_t end) {
      float* const own_scratch = scratch->take();
      for (int64_t i = begin; i < end; ++i) {
        MatmulTile tile =
            tile_of(whole, i % row_tiles * kMatmulTileRows, i / row_tiles * kMatmulTileColumns);
        tile.scratch = own_scratch;
        row.run(tile);
      }
    });
  });
}

}  // namespace mxvideo::kernels
