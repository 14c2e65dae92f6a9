// The shapes of AMX's tile registers. Intrinsics and plain data only, in an unnamed namespace, so
// that ISA files may include it.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mxvideo::kernels {
namespace {

inline constexpr int kTiles = 8;
inline constexpr int64_t kTileSide = 16;      // rows of a tile at most, and fp32 numbers in one
inline constexpr int64_t kTileRowBytes = 64;  // at most

// What LDTILECFG reads (Intel SDM, "LDTILECFG"), palette 1.
struct TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // Rows of kTileRowBytes; none leaves a tile out.
  void set_rows(int tile, int64_t count) {
    rows[tile] = static_cast<uint8_t>(count);
    row_bytes[tile] = count == 0 ? 0 : kTileRowBytes;
  }
};
static_assert(sizeof(TileConfig) == 64);

inline void load_tile_config(const TileConfig& config) {
  asm volatile("" : : "r"(&config) : "memory");  // GCC's intrinsic says it reads eight bytes
  _tile_loadconfig(&config);
}

}  // namespace
}  // namespace mxvideo::kernels
