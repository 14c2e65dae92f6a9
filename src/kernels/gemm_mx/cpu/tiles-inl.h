// How a kernel's multiply() splits its rows into tiles; for ISA files.
#pragma once

#include <cstdint>

namespace mxvideo::kernels {
namespace {

// Calls tile(first, count) for pieces of `rows` rows, of nearly the same count, at most `most`.
template <class Tile>
inline void for_tiles(int64_t rows, int64_t most, const Tile& tile) {
  const int64_t tiles = (rows + most - 1) / most;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t first = rows * i / tiles;
    tile(first, rows * (i + 1) / tiles - first);
  }
}

}  // namespace
}  // namespace mxvideo::kernels
