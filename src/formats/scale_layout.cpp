#include "formats/scale_layout.h"

#include <algorithm>

namespace mxvideo::formats {
namespace {

constexpr int64_t kTileRows = 128;
constexpr int64_t kTileColumns = 4;
constexpr int64_t kTileBytes = kTileRows * kTileColumns;

// Position of a scale in the swizzled array.
int64_t swizzled_index(const ScaleGrid& grid, int64_t row, int64_t column) {
  const int64_t tiles_per_row = grid.padded_columns() / kTileColumns;
  const int64_t tile = row / kTileRows * tiles_per_row + column / kTileColumns;
  const int64_t r = row % kTileRows;
  return tile * kTileBytes + (r % 32) * 16 + (r / 32) * kTileColumns + column % kTileColumns;
}

}  // namespace

void swizzle_scales(const ScaleGrid& grid, const uint8_t* row_major, uint8_t* swizzled) {
  std::fill_n(swizzled, grid.padded_rows() * grid.padded_columns(), uint8_t{0});
  for (int64_t row = 0; row < grid.rows; ++row) {
    for (int64_t column = 0; column < grid.columns; ++column) {
      swizzled[swizzled_index(grid, row, column)] = row_major[row * grid.columns + column];
    }
  }
}

void unswizzle_scales(const ScaleGrid& grid, const uint8_t* swizzled, uint8_t* row_major) {
  for (int64_t row = 0; row < grid.rows; ++row) {
    for (int64_t column = 0; column < grid.columns; ++column) {
      row_major[row * grid.columns + column] = swizzled[swizzled_index(grid, row, column)];
    }
  }
}

}  // namespace mxvideo::formats
