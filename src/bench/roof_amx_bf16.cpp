#include <immintrin.h>

#include "bench/roof_kernels.h"

namespace mxvideo::bench {
namespace {

constexpr int64_t kSide = 16;      // rows and fp32 columns of a tile of sums
constexpr int64_t kElements = 32;  // bf16 elements in a row of the others
constexpr int64_t kChains = 4;     // tiles of sums
constexpr int64_t kTileRowBytes = 64;

// What LDTILECFG reads: palette 1, six full tiles.
struct TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
};

float run(int64_t steps) {
  const TileConfig config;
  alignas(64) float sums[kSide * kSide];
  asm volatile("" : : "r"(&config) : "memory");  // GCC's intrinsic says it reads eight bytes
  _tile_loadconfig(&config);
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

const RoofKernel kRoofBf16Amx = {.operations_per_step = kChains * kSide * kSide * kElements * 2,
                                 .run = run};

}  // namespace mxvideo::bench
