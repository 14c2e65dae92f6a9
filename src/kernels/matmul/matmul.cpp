#include "kernels/matmul/matmul.h"

#include <algorithm>

#include "base/checked.h"
#include "base/parallel.h"
#include "kernels/common/thread_scratch.h"
#include "kernels/matmul/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<MatmulArgs> kRows[] = {
    {"matvec", kCpuNone, matvec_reject, matvec_highway},
    {"onednn", kCpuNone, accept_all<MatmulArgs>, matmul_onednn},
    {"reference", kCpuNone, accept_all<MatmulArgs>, matmul_reference},
};

int64_t tile_count(int64_t m, int64_t n) {
  return ceil_div(m, kMatmulTileRows) * ceil_div(n, kMatmulTileColumns);
}

MatmulArgs tile_of(const MatmulArgs& args, int64_t first_row, int64_t first_column) {
  MatmulArgs tile = args;
  tile.m = std::min(kMatmulTileRows, args.m - first_row);
  tile.n = std::min(kMatmulTileColumns, args.n - first_column);
  tile.x += first_row * args.x_stride;
  tile.weight += first_column * args.k * dtype_size(args.weight_dtype);
  tile.y += first_row * args.y_stride + first_column;
  if (tile.bias != nullptr) tile.bias += first_column;
  if (tile.residual != nullptr) tile.residual += first_row * args.y_stride + first_column;
  if (tile.gate != nullptr) tile.gate += first_column;
  if (tile.gate_row != nullptr) tile.gate_row += first_row;
  return tile;
}

}  // namespace

EpilogueArgs matmul_epilogue(const MatmulArgs& args) noexcept {
  return {.kind = args.epilogue,
          .bias = args.bias,
          .residual = args.residual,
          .gate = args.gate,
          .gate_stride = args.gate_stride,
          .gate_row = args.gate_row,
          .residual_stride = args.y_stride};
}

std::span<const Row<MatmulArgs>> matmul_rows() { return kRows; }

int64_t matmul_workspace_bytes(int64_t m, int64_t n) {
  return ThreadScratch::bytes(tile_count(m, n), kMatmulScratch);
}

void matmul(const MatmulArgs& args, Context& context) {
  MatmulArgs whole = args;
  if (whole.x_stride == 0) whole.x_stride = whole.k;
  if (whole.y_stride == 0) whole.y_stride = whole.n;
  const Row<MatmulArgs>& row = select("matmul", matmul_rows(), whole, context);
  const int64_t row_tiles = ceil_div(whole.m, kMatmulTileRows);
  const int64_t tiles = tile_count(whole.m, whole.n);
  ThreadScratch scratch(tiles, kMatmulScratch);
  parallel_for(tiles, 1, [&](int64_t begin, int64_t end) {
    float* const own_scratch = scratch.take();
    for (int64_t i = begin; i < end; ++i) {
      MatmulArgs tile =
          tile_of(whole, i % row_tiles * kMatmulTileRows, i / row_tiles * kMatmulTileColumns);
      tile.scratch = own_scratch;
      row.run(tile);
    }
  });
}

}  // namespace mxvideo::kernels
