#include "models/wan_vae/feature.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/parallel.h"

namespace mxvideo::models::wan_vae {
namespace {

struct Position {
  int64_t frame, row, column;  // in the whole frame, not in the window
  int64_t index;               // of the pixel among those of the window
};

// Calls `visit(position)` for every pixel of `frames` frames of `window`, in parallel.
template <class Visit>
void for_each_position(int64_t frames, const Window& window, const Visit& visit) {
  const int64_t height = window.height();
  const int64_t width = window.width();
  parallel_for(frames * height * width, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      visit(Position{.frame = i / (height * width),
                     .row = i / width % height + window.top,
                     .column = i % width + window.left,
                     .index = i});
    }
  });
}

}  // namespace

Window Window::whole(int64_t height, int64_t width) {
  return {.bottom = height, .right = width, .frame_height = height, .frame_width = width};
}

Window Window::grown(int64_t margin) const {
  Window result = *this;
  result.top = std::max<int64_t>(0, top - margin);
  result.left = std::max<int64_t>(0, left - margin);
  result.bottom = std::min(frame_height, bottom + margin);
  result.right = std::min(frame_width, right + margin);
  return result;
}

Window Window::shrunk(int64_t margin) const {
  Window result = *this;
  if (top > 0) result.top += margin;
  if (left > 0) result.left += margin;
  if (bottom < frame_height) result.bottom -= margin;
  if (right < frame_width) result.right -= margin;
  check(result.height() > 0 && result.width() > 0, "wan_vae: a tile is smaller than its halo");
  return result;
}

Window Window::scaled_up(int64_t factor) const {
  return {.top = top * factor,
          .left = left * factor,
          .bottom = bottom * factor,
          .right = right * factor,
          .frame_height = frame_height * factor,
          .frame_width = frame_width * factor};
}

Window Window::scaled_down(int64_t factor) const {
  return {.top = ceil_div(top, factor),
          .left = ceil_div(left, factor),
          .bottom = bottom / factor,
          .right = right / factor,
          .frame_height = frame_height / factor,
          .frame_width = frame_width / factor};
}

void copy_window(const Feature& x, const Window& window, float* destination) {
  const Window& from = x.window;
  check(window.top >= from.top && window.left >= from.left && window.bottom <= from.bottom &&
            window.right <= from.right,
        "wan_vae: crop outside the window");
  const int64_t row_floats = window.width() * x.channels();
  const float* source = x.values.f32();
  parallel_for(x.frames() * window.height(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t frame = row / window.height();
      const int64_t y = row % window.height() + window.top - from.top;
      const int64_t pixel = (frame * from.height() + y) * from.width() + window.left - from.left;
      std::memcpy(destination + row * row_floats, source + pixel * x.channels(),
                  static_cast<size_t>(row_floats) * sizeof(float));
    }
  });
}

Feature crop(Feature x, const Window& window) {
  if (x.window == window) return x;
  Feature result{Tensor(DType::kF32, {x.frames(), window.height(), window.width(), x.channels()}),
                 window};
  copy_window(x, window, result.values.f32());
  return result;
}

void upsample_nearest(const UpsampleArgs& args) {
  const int64_t pixel_floats = args.channels * args.copies;
  const float* frame = args.x + args.frame / args.copies * args.height * args.width * pixel_floats +
                       args.frame % args.copies * args.channels;
  const int64_t row_floats = 2 * args.width * args.channels;
  const auto bytes = static_cast<size_t>(args.channels) * sizeof(float);
  parallel_for(args.height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* upper = args.y + 2 * row * row_floats;
      for (int64_t column = 0; column < args.width; ++column) {
        const float* pixel = frame + (row * args.width + column) * pixel_floats;
        std::memcpy(upper + 2 * column * args.channels, pixel, bytes);
        std::memcpy(upper + (2 * column + 1) * args.channels, pixel, bytes);
      }
      std::memcpy(upper + row_floats, upper, static_cast<size_t>(row_floats) * sizeof(float));
    }
  });
}

void add_average_down(const Feature& x, const FoldFactors& factors, Feature& y) {
  const int64_t fold = factors.time * factors.space * factors.space;
  const int64_t in = x.channels();
  const int64_t out = y.channels();
  const int64_t group = in * fold / out;
  const int64_t padding = y.frames() * factors.time - x.frames();
  const Window& from = x.window;
  const float* source = x.values.f32();
  float* destination = y.values.f32();
  for_each_position(y.frames(), y.window, [&](const Position& at) {
    for (int64_t channel = 0; channel < out; ++channel) {
      float sum = 0;
      for (int64_t k = channel * group; k < (channel + 1) * group; ++k) {
        const int64_t dx = k % factors.space;
        const int64_t dy = k / factors.space % factors.space;
        const int64_t dt = k / (factors.space * factors.space) % factors.time;
        const int64_t t = at.frame * factors.time + dt - padding;
        if (t < 0) continue;
        const int64_t source_row = at.row * factors.space + dy - from.top;
        const int64_t source_column = at.column * factors.space + dx - from.left;
        const int64_t pixel = (t * from.height() + source_row) * from.width() + source_column;
        sum += source[pixel * in + k / fold];
      }
      destination[at.index * out + channel] += sum / static_cast<float>(group);
    }
  });
}

void add_duplicate_up(const Feature& x, const FoldFactors& factors, Feature& y) {
  const int64_t in = x.channels();
  const int64_t out = y.channels();
  const int64_t fold = factors.time * factors.space * factors.space;
  const int64_t repeats = out * fold / in;
  const int64_t dropped = x.frames() * factors.time - y.frames();
  const Window& from = x.window;
  const float* source = x.values.f32();
  float* destination = y.values.f32();
  for_each_position(y.frames(), y.window, [&](const Position& at) {
    const int64_t t = at.frame + dropped;
    const int64_t offset =
        (t % factors.time * factors.space + at.row % factors.space) * factors.space +
        at.column % factors.space;
    const int64_t pixel =
        (t / factors.time * from.height() + at.row / factors.space - from.top) * from.width() +
        at.column / factors.space - from.left;
    for (int64_t channel = 0; channel < out; ++channel) {
      destination[at.index * out + channel] +=
          source[pixel * in + (channel * fold + offset) / repeats];
    }
  });
}

Feature patchify(const Tensor& video, int64_t first_frame, int64_t frames, const Window& window,
                 int64_t patch) {
  const int64_t channels = video.dim(3);
  const int64_t width = video.dim(2);
  const int64_t folded = channels * patch * patch;
  Feature result{Tensor(DType::kF32, {frames, window.height(), window.width(), folded}), window};
  const float* source = video.f32() + first_frame * video.dim(1) * width * channels;
  float* destination = result.values.f32();
  for_each_position(frames, window, [&](const Position& at) {
    for (int64_t k = 0; k < folded; ++k) {
      const int64_t y = at.row * patch + k % patch;
      const int64_t x = at.column * patch + k / patch % patch;
      const int64_t pixel = (at.frame * video.dim(1) + y) * width + x;
      destination[at.index * folded + k] = source[pixel * channels + k / (patch * patch)];
    }
  });
  return result;
}

Tensor unpatchify_clamped(const Feature& patches, int64_t patch) {
  const Window& window = patches.window;
  const int64_t folded = patches.channels(), channels = folded / (patch * patch);
  const int64_t height = window.height() * patch, width = window.width() * patch;
  Tensor pixels(DType::kF32, {patches.frames(), height, width, channels});
  const float* source = patches.values.f32();
  float* destination = pixels.f32();
  for_each_position(patches.frames(), window, [&](const Position& at) {
    for (int64_t k = 0; k < folded; ++k) {
      const int64_t y = (at.row - window.top) * patch + k % patch;
      const int64_t x = (at.column - window.left) * patch + k / patch % patch;
      const int64_t pixel = (at.frame * height + y) * width + x;
      const float value = source[at.index * folded + k];
      // A comparison with NaN is false, so NaN stays visible.
      const float low = value < -1 ? -1 : value;
      destination[pixel * channels + k / (patch * patch)] = low > 1 ? 1 : low;
    }
  });
  return pixels;
}

}  // namespace mxvideo::models::wan_vae
