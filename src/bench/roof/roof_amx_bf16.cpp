#include <immintrin.h>

#include "bench/roof/roof_kernels.h"
#include "kernels/common/amx-inl.h"

namespace mxvideo::bench {
namespace {

using kernels::kTileRowBytes;
using kernels::kTileSide;
using kernels::TileConfig;

constexpr int64_t kElements = 32;  // bf16 numbers in a row of a tile
constexpr int kChains = 4;         // tiles of sums; two more are multiplied

float run(int64_t steps) {
  TileConfig config;
  for (int tile = 0; tile < kChains + 2; ++tile) config.set_rows(tile, kTileSide);
  kernels::load_tile_config(config);
  alignas(64) float sums[kTileSide * kTileSide];
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  for (int64_t step = 0; step < steps; ++step) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_stored(0, sums, kTileRowBytes);
  _tile_release();
  return sums[0];
}

}  // namespace

const RoofKernel kRoofBf16Amx = {
    .operations_per_step = kChains * kTileSide * kTileSide * kElements * 2, .run = run};

}  // namespace mxvideo::bench
