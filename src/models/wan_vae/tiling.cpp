#include "models/wan_vae/tiling.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace mxvideo::models::wan_vae {
namespace {

// b's first rows (vertical) or columns become a mix with a's last ones.
void blend_into(const Tensor& a, Tensor& b, int64_t extent, bool vertical) {
  const int axis = vertical ? 1 : 2;
  extent = std::min({extent, a.dim(axis), b.dim(axis)});
  const int64_t channels = b.dim(3);
  const int64_t rows = vertical ? extent : b.dim(1);
  const int64_t columns = vertical ? std::min(a.dim(2), b.dim(2)) : extent;
  for (int64_t i = 0; i < b.dim(0) * rows * columns; ++i) {
    const int64_t frame = i / (rows * columns);
    const int64_t row = i / columns % rows;
    const int64_t column = i % columns;
    const int64_t from_row = vertical ? a.dim(1) - extent + row : row;
    const int64_t from_column = vertical ? column : a.dim(2) - extent + column;
    const float share = static_cast<float>(vertical ? row : column) / static_cast<float>(extent);
    const float* from =
        a.f32() + ((frame * a.dim(1) + from_row) * a.dim(2) + from_column) * channels;
    float* to = b.f32() + ((frame * b.dim(1) + row) * b.dim(2) + column) * channels;
    for (int64_t c = 0; c < channels; ++c) to[c] = from[c] * (1 - share) + to[c] * share;
  }
}

// Copies the part of `tile` that belongs to its grid cell.
void paste(const Tensor& tile, int64_t top, int64_t left, const BlendGrid& grid, Tensor& result) {
  const int64_t height = std::min({tile.dim(1), grid.stride_height, result.dim(1) - top});
  const int64_t width = std::min({tile.dim(2), grid.stride_width, result.dim(2) - left});
  const int64_t channels = tile.dim(3);
  for (int64_t i = 0; i < tile.dim(0) * std::max<int64_t>(height, 0) && width > 0; ++i) {
    const int64_t frame = i / height;
    const int64_t row = i % height;
    std::memcpy(
        result.f32() + ((frame * result.dim(1) + top + row) * result.dim(2) + left) * channels,
        tile.f32() + (frame * tile.dim(1) + row) * tile.dim(2) * channels,
        static_cast<size_t>(width * channels) * sizeof(float));
  }
}

}  // namespace

std::vector<Window> partition(int64_t height, int64_t width, int64_t tile_height,
                              int64_t tile_width) {
  const int64_t rows = ceil_div(height, tile_height);
  const int64_t columns = ceil_div(width, tile_width);
  std::vector<Window> windows;
  for (int64_t i = 0; i < rows * columns; ++i) {
    const int64_t row = i / columns;
    const int64_t column = i % columns;
    windows.push_back({.top = height * row / rows,
                       .left = width * column / columns,
                       .bottom = height * (row + 1) / rows,
                       .right = width * (column + 1) / columns,
                       .frame_height = height,
                       .frame_width = width});
  }
  return windows;
}

Tensor blend_tiles(const Window& frame, const BlendGrid& source, const BlendGrid& target,
                   const Window& target_frame, const std::function<Tensor(const Window&)>& make) {
  const int64_t rows = ceil_div(frame.height(), source.stride_height);
  const int64_t columns = ceil_div(frame.width(), source.stride_width);
  const int64_t blend_height = target.tile_height - target.stride_height;
  const int64_t blend_width = target.tile_width - target.stride_width;
  Tensor result;
  std::vector<Tensor> above(static_cast<size_t>(columns));
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<Tensor> tiles;
    for (int64_t column = 0; column < columns; ++column) {
      Window window = frame;
      window.top = row * source.stride_height;
      window.left = column * source.stride_width;
      window.bottom = std::min(frame.bottom, window.top + source.tile_height);
      window.right = std::min(frame.right, window.left + source.tile_width);
      tiles.push_back(make(window));
    }
    for (int64_t column = 0; column < columns; ++column) {
      const auto at = static_cast<size_t>(column);
      Tensor& tile = tiles[at];
      if (row > 0) blend_into(above[at], tile, blend_height, true);
      if (column > 0) blend_into(tiles[at - 1], tile, blend_width, false);
      if (result.empty()) {
        result = Tensor(DType::kF32,
                        {tile.dim(0), target_frame.height(), target_frame.width(), tile.dim(3)});
      }
      paste(tile, row * target.stride_height, column * target.stride_width, target, result);
    }
    above = std::move(tiles);
  }
  return result;
}

}  // namespace mxvideo::models::wan_vae
