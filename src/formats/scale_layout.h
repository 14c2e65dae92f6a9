// The two orders in which the block scales of a weight [n, k] lie in files.
//
// Row-major: [n, k/32]. Swizzled: the order that Blackwell's block-scaled matrix instructions read
// (cuBLAS, "1D block scaling factors layout"; PyTorch SWIZZLE_32_4_4; comfy-kitchen to_blocked):
// tiles of 128 rows x 4 scales, row-major over tiles, inside a tile the scale of row r and column c
// at byte (r % 32)·16 + (r / 32)·4 + c; both axes padded with zero bytes to whole tiles. Nothing in
// the bytes tells the two apart: what is in a file follows from its metadata only. Pure functions.
#pragma once

#include <cstdint>

namespace mxvideo::formats {

enum class ScaleLayout : uint8_t { kRowMajor, kSwizzled };

struct ScaleGrid {
  int64_t rows = 0;     // n
  int64_t columns = 0;  // k/32

  int64_t padded_rows() const { return (rows + 127) / 128 * 128; }
  int64_t padded_columns() const { return (columns + 3) / 4 * 4; }
};

// `row_major` holds rows·columns bytes, `swizzled` padded_rows()·padded_columns(). Not in place.
void swizzle_scales(const ScaleGrid& grid, const uint8_t* row_major, uint8_t* swizzled);
void unswizzle_scales(const ScaleGrid& grid, const uint8_t* swizzled, uint8_t* row_major);

}  // namespace mxvideo::formats
