#include "models/wan_vae/tiling.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/layout/blend.h"
#include "kernels/layout/copy_nd.h"

namespace mxvideo::models::wan_vae {
namespace {

// b's first rows (vertical) or columns become a mix with a's last ones.
void blend_into(const Tensor& a, Tensor& b, int64_t extent, bool vertical,
                kernels::Context& context) {
  const int axis = vertical ? 1 : 2;
  extent = std::min({extent, a.dim(axis), b.dim(axis)});
  const int64_t channels = b.dim(3), a_row = a.dim(2) * channels, b_row = b.dim(2) * channels;
  if (vertical) {
    kernels::blend({.x = a.from((a.dim(1) - extent) * a_row),
                    .y = b,
                    .from = {.row = a.dim(1) * a_row, .step = a_row},
                    .to = {.row = b.dim(1) * b_row, .step = b_row},
                    .rows = b.dim(0),
                    .steps = extent,
                    .width = std::min(a_row, b_row)},
                   context);
  } else {
    check(a.dim(1) == b.dim(1), "wan_vae: neighbours of a row of tiles are equally high");
    kernels::blend({.x = a.from((a.dim(2) - extent) * channels),
                    .y = b,
                    .from = {.row = a_row, .step = channels},
                    .to = {.row = b_row, .step = channels},
                    .rows = b.dim(0) * b.dim(1),
                    .steps = extent,
                    .width = channels},
                   context);
  }
}

// Copies the part of `tile` that belongs to its grid cell.
void paste(const Tensor& tile, int64_t top, int64_t left, const BlendGrid& grid, Tensor& result,
           kernels::Context& context) {
  const int64_t height = std::min({tile.dim(1), grid.stride_height, result.dim(1) - top});
  const int64_t width = std::min({tile.dim(2), grid.stride_width, result.dim(2) - left});
  if (height <= 0 || width <= 0) return;
  const int64_t channels = tile.dim(3), from = tile.dim(2) * channels,
                to = result.dim(2) * channels;
  kernels::copy_nd({.x = tile,
                    .y = result.from(top * to + left * channels),
                    .axes = {{{tile.dim(0), tile.dim(1) * from, result.dim(1) * to},
                              {height, from, to},
                              {width * channels, 1, 1}}}},
                   context);
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
                   const Window& target_frame, const std::function<Tensor(const Window&)>& make,
                   kernels::Context& context) {
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
      if (row > 0) blend_into(above[at], tile, blend_height, true, context);
      if (column > 0) blend_into(tiles[at - 1], tile, blend_width, false, context);
      if (result.empty()) {
        result = context.activations(
            {tile.dim(0), target_frame.height(), target_frame.width(), tile.dim(3)});
      }
      paste(tile, row * target.stride_height, column * target.stride_width, target, result,
            context);
    }
    above = std::move(tiles);
  }
  return result;
}

}  // namespace mxvideo::models::wan_vae
