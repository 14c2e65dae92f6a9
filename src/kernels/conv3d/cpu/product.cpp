// Convolution as a product (im2col, a panel at a time): oneDNN 2.6 reaches half to nine tenths of
// its sgemm when it convolves channels-last video, because pixels a power of two apart share cache
// sets; a gathered panel does not. Order of summation: frame, row and column of the kernel, then
// input channels.
#include <algorithm>
#include <cstring>
#include <memory>

#include "base/checked.h"
#include "base/parallel.h"
#include "kernels/common/sgemm.h"
#include "kernels/common/thread_scratch.h"
#include "kernels/conv3d/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kTileRows = 256;    // most pixels of a tile
constexpr int64_t kTileDepth = 512;   // most of the sum per panel, so that it stays in L2
constexpr int64_t kMinChannels = 64;  // of the input

int64_t tap_count(const Conv3dShape& s) { return s.kernel_t * s.kernel_h * s.kernel_w; }

// How one frame of the output is cut.
struct Tiling {
  int64_t columns;  // output channels of a tile
  int64_t rows;     // pixels of a tile, the last one of a frame may have fewer
  int64_t row_tiles;
  int64_t tasks;  // of all frames

  Tiling(const Conv3dShape& shape, const VideoExtent& out) : columns(product_columns(shape)) {
    const int64_t pixels = out.h * out.w;
    rows = ceil_div(pixels, ceil_div(pixels, kTileRows));
    row_tiles = ceil_div(pixels, rows);
    tasks = out.t * row_tiles * (shape.out_channels / columns);
  }
  int64_t scratch_floats() const { return rows * (kTileDepth + columns); }
};

// Pixels [first, first + count) of output frame `frame`, and the channels of one tile.
struct Tile {
  int64_t frame, first, count, column_tile;
};

// `count` inputs from `first` of the sum on, of the pixel of x that the tap meets; zeros outside.
class Gather {
 public:
  Gather(const Conv3dArgs& args, const VideoExtent& out)
      : args_(args), shape_(args.shape), out_(out) {}

  void row(int64_t frame, int64_t pixel, int64_t first, int64_t count, float* panel) const {
    while (count > 0) {
      const int64_t channel = first % shape_.in_channels;
      const int64_t length = std::min(count, shape_.in_channels - channel);
      const auto bytes = static_cast<size_t>(length) * sizeof(float);
      const float* source = pixel_under(frame, pixel, first / shape_.in_channels);
      if (source == nullptr) {
        std::memset(panel, 0, bytes);
      } else {
        std::memcpy(panel, source + channel, bytes);
      }
      panel += length;
      first += length;
      count -= length;
    }
  }

 private:
  const float* pixel_under(int64_t frame, int64_t pixel, int64_t tap) const {
    const VideoExtent& extent = args_.extent;
    const int64_t t =
        frame * shape_.stride_t + tap / (shape_.kernel_h * shape_.kernel_w) - extent.leading_zeros;
    const int64_t y =
        pixel / out_.w * shape_.stride_h + tap / shape_.kernel_w % shape_.kernel_h - shape_.pad_top;
    const int64_t x = pixel % out_.w * shape_.stride_w + tap % shape_.kernel_w - shape_.pad_left;
    if (t < 0 || y < 0 || y >= extent.h || x < 0 || x >= extent.w) return nullptr;
    return args_.x + ((t * extent.h + y) * extent.w + x) * shape_.in_channels;
  }

  const Conv3dArgs& args_;
  const Conv3dShape& shape_;
  const VideoExtent& out_;
};

// Where the sum of a frame begins: taps that meet leading zeros only add nothing.
int64_t first_of_sum(const Conv3dArgs& args, int64_t frame) {
  const Conv3dShape& s = args.shape;
  const int64_t zeros =
      std::clamp<int64_t>(args.extent.leading_zeros - frame * s.stride_t, 0, s.kernel_t);
  return zeros * s.kernel_h * s.kernel_w * s.in_channels;
}

void sum_tile(const Conv3dArgs& args, const Gather& gather, const Tiling& tiling, const Tile& tile,
              float* scratch) {
  const Conv3dShape& s = args.shape;
  const int64_t depth = tap_count(s) * s.in_channels;
  const float* weight = args.weight + tile.column_tile * depth * tiling.columns;
  float* const panel = scratch;
  float* const sums = scratch + tiling.rows * kTileDepth;
  const float* bias = args.bias + tile.column_tile * tiling.columns;
  for (int64_t row = 0; row < tile.count; ++row) {
    std::copy_n(bias, tiling.columns, sums + row * tiling.columns);
  }
  int64_t length = 0;
  for (int64_t first = first_of_sum(args, tile.frame); first < depth; first += length) {
    length = std::min(kTileDepth, depth - first);
    for (int64_t row = 0; row < tile.count; ++row) {
      gather.row(tile.frame, tile.first + row, first, length, panel + row * length);
    }
    sgemm({.a = panel,
           .a_stride = length,
           .b = weight + first * tiling.columns,
           .b_stride = tiling.columns,
           .c = sums,
           .c_stride = tiling.columns,
           .m = tile.count,
           .n = tiling.columns,
           .k = length,
           .add = true});
  }
}

// Task `i` of the tiling.
void multiply_tile(const Conv3dArgs& args, const VideoExtent& out, const Tiling& tiling, int64_t i,
                   float* scratch) {
  const int64_t tiles_per_column = out.t * tiling.row_tiles;
  const int64_t first = i % tiles_per_column % tiling.row_tiles * tiling.rows;
  const Tile tile = {.frame = i % tiles_per_column / tiling.row_tiles,
                     .first = first,
                     .count = std::min(tiling.rows, out.h * out.w - first),
                     .column_tile = i / tiles_per_column};
  sum_tile(args, Gather(args, out), tiling, tile, scratch);
  const float* sums = scratch + tiling.rows * kTileDepth;
  float* y = args.y + (tile.frame * out.h * out.w + first) * args.shape.out_channels +
             tile.column_tile * tiling.columns;
  for (int64_t row = 0; row < tile.count; ++row) {
    std::copy_n(sums + row * tiling.columns, tiling.columns, y + row * args.shape.out_channels);
  }
}

}  // namespace

int64_t product_columns(const Conv3dShape& shape) noexcept {
  if (shape.in_channels < kMinChannels) return 0;
  for (const int64_t columns : {128, 96, 64}) {
    if (shape.out_channels % columns == 0) return columns;
  }
  return 0;
}

void conv3d_product(const Conv3dArgs& args, Context& context) {
  const VideoExtent out = conv3d_output(args.shape, args.extent);
  const Tiling tiling(args.shape, out);
  const auto scratch =
      std::make_shared<ThreadScratch>(context.memory(), tiling.tasks, tiling.scratch_floats());
  context.launch([args, out, tiling, scratch] {
    parallel_for(tiling.tasks, 1, [&](int64_t begin, int64_t end) {
      float* const own_scratch = scratch->take();
      for (int64_t i = begin; i < end; ++i) multiply_tile(args, out, tiling, i, own_scratch);
    });
  });
}

}  // namespace mxvideo::kernels
