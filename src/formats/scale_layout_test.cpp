#include "formats/scale_layout.h"

#include <gtest/gtest.h>

#include <vector>

namespace mxvideo::formats {
namespace {

// Distinct bytes as far as they go; never zero, so that padding shows.
std::vector<uint8_t> numbered(const ScaleGrid& grid) {
  std::vector<uint8_t> values(static_cast<size_t>(grid.rows * grid.columns));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint8_t>(1 + i % 251);
  return values;
}

// Positions worked out by hand from the cuBLAS documentation of the 128x4 tile.
TEST(ScaleLayout, PlacesScalesAsTheTileSays) {
  const ScaleGrid grid{.rows = 256, .columns = 8};
  const std::vector<uint8_t> row_major = numbered(grid);
  std::vector<uint8_t> swizzled(size_t{256} * 8);
  swizzle_scales(grid, row_major.data(), swizzled.data());
  const auto at = [&](int64_t row, int64_t column) {
    return row_major[static_cast<size_t>(row * 8 + column)];
  };
  EXPECT_EQ(swizzled[0], at(0, 0));
  EXPECT_EQ(swizzled[3], at(0, 3));
  EXPECT_EQ(swizzled[4], at(32, 0));  // second group of 32 rows lies beside the first
  EXPECT_EQ(swizzled[16], at(1, 0));
  EXPECT_EQ(swizzled[511], at(127, 3));
  EXPECT_EQ(swizzled[512], at(0, 4));     // the next tile to the right
  EXPECT_EQ(swizzled[1024], at(128, 0));  // then the tiles below
}

TEST(ScaleLayout, RoundTripsWithPadding) {
  for (const ScaleGrid grid : {ScaleGrid{1, 1}, ScaleGrid{128, 4}, ScaleGrid{160, 5},
                               ScaleGrid{33, 12}, ScaleGrid{300, 3}}) {
    const std::vector<uint8_t> row_major = numbered(grid);
    std::vector<uint8_t> swizzled(static_cast<size_t>(grid.padded_rows() * grid.padded_columns()),
                                  0xee);
    swizzle_scales(grid, row_major.data(), swizzled.data());
    std::vector<uint8_t> back(row_major.size());
    unswizzle_scales(grid, swizzled.data(), back.data());
    EXPECT_EQ(back, row_major) << grid.rows << "x" << grid.columns;
    const auto zeros = std::count(swizzled.begin(), swizzled.end(), 0);
    EXPECT_EQ(zeros, static_cast<int64_t>(swizzled.size() - row_major.size()));
  }
}

}  // namespace
}  // namespace mxvideo::formats
