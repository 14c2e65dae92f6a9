#include "models/wan_vae/feature.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/layout/copy_nd.h"

namespace mxvideo::models::wan_vae {
namespace {

// The first value of `window` in frame `first` of `x`; checks that it lies there.
int64_t offset_in(const Feature& x, int64_t first, const Window& window) {
  const Window& from = x.window;
  check(window.top >= from.top && window.left >= from.left && window.bottom <= from.bottom &&
            window.right <= from.right,
        "wan_vae: crop outside the window");
  return first * x.frame_floats() +
         ((window.top - from.top) * from.width() + window.left - from.left) * x.channels();
}

kernels::FoldExtent extent_of(const Feature& x) {
  return {.frames = x.frames(),
          .rows = x.window.height(),
          .columns = x.window.width(),
          .channels = x.channels(),
          .top = x.window.top,
          .left = x.window.left};
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

Feature take(const Feature& x, int64_t first, int64_t count, const Window& window,
             kernels::Context& context) {
  Feature part{context.activations({count, window.height(), window.width(), x.channels()}), window};
  const int64_t row = window.width() * x.channels();
  kernels::copy_nd({.x = x.values.from(offset_in(x, first, window)),
                    .y = part.values,
                    .axes = {{{count, x.frame_floats(), part.frame_floats()},
                              {window.height(), x.window.width() * x.channels(), row},
                              {row, 1, 1}}}},
                   context);
  return part;
}

Feature crop(Feature x, const Window& window, kernels::Context& context) {
  if (x.window == window) return x;
  return take(x, 0, x.frames(), window, context);
}

void put(const Feature& part, int64_t first, Feature& whole, kernels::Context& context) {
  const int64_t row = part.window.width() * part.channels();
  kernels::copy_nd({.x = part.values,
                    .y = whole.values.from(offset_in(whole, first, part.window)),
                    .axes = {{{part.frames(), part.frame_floats(), whole.frame_floats()},
                              {part.window.height(), row, whole.window.width() * whole.channels()},
                              {row, 1, 1}}}},
                   context);
}

void copy(DevicePtr<const float> x, DevicePtr<float> y, int64_t count, kernels::Context& context) {
  kernels::copy_nd({.x = x, .y = y, .axes = {{{count, 1, 1}}}}, context);
}

void upsample_nearest(const UpsampleArgs& args, kernels::Context& context) {
  const int64_t pixel = args.channels * args.copies;
  const int64_t frame = args.frame / args.copies * args.height * args.width * pixel +
                        args.frame % args.copies * args.channels;
  kernels::copy_nd({.x = args.x.from(frame),
                    .y = args.y,
                    .axes = {{{args.height, args.width * pixel, 4 * args.width * args.channels},
                              {2, 0, 2 * args.width * args.channels},
                              {args.width, pixel, 2 * args.channels},
                              {2, 0, args.channels},
                              {args.channels, 1, 1}}}},
                   context);
}

void add_fold(kernels::FoldOp op, const Feature& x, const FoldFactors& factors, Feature& y,
              kernels::Context& context) {
  kernels::fold({.op = op,
                 .x = x.values,
                 .y = y.values,
                 .from = extent_of(x),
                 .to = extent_of(y),
                 .time = factors.time,
                 .space = factors.space},
                context);
}

Feature patchify(const Tensor& video, int64_t first_frame, int64_t frames, const Window& window,
                 int64_t patch, kernels::Context& context) {
  const int64_t channels = video.dim(3), height = video.dim(1), width = video.dim(2);
  const int64_t folded = channels * patch * patch;
  Feature result{context.activations({frames, window.height(), window.width(), folded}), window};
  const int64_t row = first_frame * height + window.top * patch;
  kernels::copy_nd({.x = video.from((row * width + window.left * patch) * channels),
                    .y = result.values,
                    .axes = {{{frames, height * width * channels, result.frame_floats()},
                              {window.height(), patch * width * channels, window.width() * folded},
                              {window.width(), patch * channels, folded},
                              {channels, 1, patch * patch},
                              {patch, channels, patch},
                              {patch, width * channels, 1}}}},
                   context);
  return result;
}

Tensor unpatchify_clamped(const Feature& patches, int64_t patch, kernels::Context& context) {
  const Window& window = patches.window;
  const int64_t folded = patches.channels(), channels = folded / (patch * patch);
  const int64_t height = window.height() * patch, width = window.width() * patch;
  Tensor pixels = context.tensor({patches.frames(), height, width, channels});
  kernels::copy_nd({.x = patches.values,
                    .y = pixels,
                    .axes = {{{patches.frames(), patches.frame_floats(), height * width * channels},
                              {window.height(), window.width() * folded, patch * width * channels},
                              {window.width(), folded, patch * channels},
                              {channels, patch * patch, 1},
                              {patch, patch, channels},
                              {patch, 1, width * channels}}},
                    .values = kernels::CopyValues::kClampToOne},
                   context);
  return pixels;
}

}  // namespace mxvideo::models::wan_vae
