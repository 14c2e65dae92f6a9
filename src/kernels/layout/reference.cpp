// The definitions.
#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "formats/half.h"
#include "kernels/layout/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kGrain = 4096;  // floats of a thread's share at least: 16 KB
constexpr int64_t kPixelsPerTask = 64;

int64_t rows_per_task(int64_t width) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width));
}

float clamp_to_one(float value) {
  if (value < -1) return -1;
  return value > 1 ? 1 : value;  // no comparison with NaN is true
}

struct Position {
  int64_t frame, row, column;  // row and column in the whole frame, not in the window
  int64_t index;               // of the pixel among those of the window
};

// Calls `visit(position)` for every pixel of `extent`, in parallel.
template <class Visit>
void for_each_position(const FoldExtent& extent, const Visit& visit) {
  const int64_t height = extent.rows;
  const int64_t width = extent.columns;
  parallel_for(extent.frames * height * width, kPixelsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      visit(Position{.frame = i / (height * width),
                     .row = i / width % height + extent.top,
                     .column = i % width + extent.left,
                     .index = i});
    }
  });
}

void average_down(const FoldArgs& args) {
  const int64_t folded = args.time * args.space * args.space;
  const int64_t in = args.from.channels;
  const int64_t out = args.to.channels;
  const int64_t group = in * folded / out;
  const int64_t padding = args.to.frames * args.time - args.from.frames;
  const float* x = args.x;
  float* y = args.y;
  for_each_position(args.to, [&](const Position& at) {
    for (int64_t channel = 0; channel < out; ++channel) {
      float sum = 0;
      for (int64_t k = channel * group; k < (channel + 1) * group; ++k) {
        const int64_t dx = k % args.space;
        const int64_t dy = k / args.space % args.space;
        const int64_t dt = k / (args.space * args.space) % args.time;
        const int64_t t = at.frame * args.time + dt - padding;
        if (t < 0) continue;
        const int64_t row = at.row * args.space + dy - args.from.top;
        const int64_t column = at.column * args.space + dx - args.from.left;
        const int64_t pixel = (t * args.from.rows + row) * args.from.columns + column;
        sum += x[pixel * in + k / folded];
      }
      y[at.index * out + channel] += sum / static_cast<float>(group);
    }
  });
}

void duplicate_up(const FoldArgs& args) {
  const int64_t folded = args.time * args.space * args.space;
  const int64_t in = args.from.channels;
  const int64_t out = args.to.channels;
  const int64_t repeats = out * folded / in;
  const int64_t dropped = args.from.frames * args.time - args.to.frames;
  const float* x = args.x;
  float* y = args.y;
  for_each_position(args.to, [&](const Position& at) {
    const int64_t t = at.frame + dropped;
    const int64_t offset =
        (t % args.time * args.space + at.row % args.space) * args.space + at.column % args.space;
    const int64_t row = at.row / args.space - args.from.top;
    const int64_t column = at.column / args.space - args.from.left;
    const int64_t pixel = (t / args.time * args.from.rows + row) * args.from.columns + column;
    for (int64_t channel = 0; channel < out; ++channel) {
      y[at.index * out + channel] += x[pixel * in + (channel * folded + offset) / repeats];
    }
  });
}

float decode(const std::byte* table, DType dtype, int64_t index) {
  if (dtype == DType::kF32) {
    float value = 0;
    std::memcpy(&value, table + index * 4, 4);
    return value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, table + index * 2, 2);
  return dtype == DType::kBF16 ? formats::decode_bf16(bits) : formats::decode_fp16(bits);
}

}  // namespace

void blend_reference(const BlendArgs& args) noexcept {
  parallel_for(args.rows * args.steps, rows_per_task(args.width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / args.steps;
      const int64_t step = i % args.steps;
      const float share = static_cast<float>(step) / static_cast<float>(args.steps);
      const float* x = args.x + row * args.from.row + step * args.from.step;
      float* y = args.y + row * args.to.row + step * args.to.step;
      for (int64_t c = 0; c < args.width; ++c) y[c] = x[c] * (1 - share) + y[c] * share;
    }
  });
}

void channel_affine_reference(const ChannelAffineArgs& args) noexcept {
  const auto channels = static_cast<int64_t>(args.mean.size());
  const bool normalizes = args.op == ChannelAffineOp::kNormalize;
  parallel_for(channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t channel = begin; channel < end; ++channel) {
      const float mean = args.mean[static_cast<size_t>(channel)];
      const float deviation = args.deviation[static_cast<size_t>(channel)];
      const float* x = args.x + channel * args.per_channel;
      float* y = args.y + channel * args.per_channel;
      for (int64_t i = 0; i < args.per_channel; ++i) {
        y[i] = normalizes ? (x[i] - mean) / deviation : x[i] * deviation + mean;
      }
    }
  });
}

void copy_nd_reference(const CopyNdArgs& args) noexcept {
  int64_t count = 1;
  for (const CopyAxis& axis : args.axes) count *= axis.extent;
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    int64_t from = 0;
    int64_t to = 0;
    for (const CopyAxis& axis : args.axes) {
      from += rest % axis.extent * axis.from;
      to += rest % axis.extent * axis.to;
      rest /= axis.extent;
    }
    const float value = args.x[from];
    args.y[to] = args.values == CopyValues::kClampToOne ? clamp_to_one(value) : value;
  }
}

void fill_reference(const FillArgs& args) noexcept {
  parallel_for(args.rows * args.width, kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t column = begin % args.width;
      const int64_t count = std::min(end - begin, args.width - column);
      std::fill_n(args.y + begin / args.width * args.stride + column, count, args.value);
      begin += count;
    }
  });
}

void fold_reference(const FoldArgs& args) noexcept {
  args.op == FoldOp::kAverageDown ? average_down(args) : duplicate_up(args);
}

void gather_rows_reference(const GatherRowsArgs& args) noexcept {
  const auto count = static_cast<int64_t>(args.ids.size());
  parallel_for(count, rows_per_task(args.width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = args.ids[static_cast<size_t>(i)] * args.width;
      float* y = args.y + i * args.row_stride;
      for (int64_t j = 0; j < args.width; ++j) {
        y[j * args.column_stride] = decode(args.table, args.dtype, first + j);
      }
    }
  });
}

}  // namespace mxvideo::kernels
