// How frames are cut into tiles, and how overlapping tiles are joined.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "models/wan_vae/feature.h"

namespace mxvideo::models::wan_vae {

// Disjoint windows of at most tile_height x tile_width that cover the frame, as even as possible.
std::vector<Window> partition(int64_t height, int64_t width, int64_t tile_height,
                              int64_t tile_width);

// Sizes of overlapping tiles, in units of the tensor that is cut or joined.
struct BlendGrid {
  int64_t tile_height = 0, tile_width = 0;
  int64_t stride_height = 0, stride_width = 0;
};

// Calls make(window) for every window of `source` (top-left at multiples of the stride, cut at the
// frame's end), row by row, and joins what it returns, which is laid out by `target`, into a
// tensor of `height` x `width`: neighbours blend linearly over tile - stride, above before left.
// Returns [frames, height, width, channels].
Tensor blend_tiles(const Window& frame, const BlendGrid& source, const BlendGrid& target,
                   const Window& target_frame, const std::function<Tensor(const Window&)>& make,
                   kernels::Context& context);

}  // namespace mxvideo::models::wan_vae
