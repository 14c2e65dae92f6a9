// Activations of the VAE: channels-last video of a window of the frame, and the layout operations
// on them (everything that only moves or averages values).
//
// A window is a rectangle of the frame at the present scale. Layers treat a window as if it were a
// whole frame (zeros around it), so wherever a window's side lies inside the frame, the outermost
// rows or columns come out wrong; shrunk() drops exactly those. That is what makes tiles equal to
// the untiled result. Functions are reentrant and parallel inside.
#pragma once

#include <cstdint>

#include "kernels/layout/fold.h"
#include "tensor/tensor.h"

namespace mxvideo::models::wan_vae {

// [top, bottom) x [left, right) of a frame.
struct Window {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  int64_t frame_height = 0, frame_width = 0;

  static Window whole(int64_t height, int64_t width);
  int64_t height() const { return bottom - top; }
  int64_t width() const { return right - left; }
  bool operator==(const Window&) const = default;

  Window grown(int64_t margin) const;   // clamped to the frame
  Window shrunk(int64_t margin) const;  // only at sides that lie inside the frame
  Window scaled_up(int64_t factor) const;
  // Sides inside the frame move inwards to multiples of `factor`, then everything is divided.
  Window scaled_down(int64_t factor) const;
};

struct Feature {
  Tensor values;  // [frames, window.height(), window.width(), channels]
  Window window;

  int64_t frames() const { return values.dim(0); }
  int64_t channels() const { return values.dim(3); }
  int64_t frame_floats() const { return window.height() * window.width() * channels(); }
};

// The part of `x` inside `window`, which must lie inside x.window. Copies only when needed.
Feature crop(Feature x, const Window& window, kernels::Context& context);
// Frames `first` to `first + count` of `x`, in `window`.
Feature take(const Feature& x, int64_t first, int64_t count, const Window& window,
             kernels::Context& context);
// Copies `part` to its place in frames `first`… of `whole`.
void put(const Feature& part, int64_t first, Feature& whole, kernels::Context& context);
// `count` values from `x` to `y`.
void copy(DevicePtr<const float> x, DevicePtr<float> y, int64_t count, kernels::Context& context);

// Frame `frame` of [t, h, w, copies·channels] seen as t·copies frames, every pixel doubled in both
// directions: y [2h, 2w, channels].
struct UpsampleArgs {
  DevicePtr<const float> x = nullptr;
  DevicePtr<float> y = nullptr;
  int64_t height = 0, width = 0, channels = 0;
  int64_t copies = 1;
  int64_t frame = 0;
};
void upsample_nearest(const UpsampleArgs& args, kernels::Context& context);

// Shortcuts of the 2.2 blocks (kernels/layout/fold.h).
struct FoldFactors {
  int64_t time = 1;
  int64_t space = 1;
};
void add_fold(kernels::FoldOp op, const Feature& x, const FoldFactors& factors, Feature& y,
              kernels::Context& context);

// Pixels [frames, height, width, channels] of `window` (in patches) -> patches
// [frames, …, channels·p·p]; channel order (channel, column in patch, row in patch).
Feature patchify(const Tensor& video, int64_t first_frame, int64_t frames, const Window& window,
                 int64_t patch, kernels::Context& context);
// The pixels of patches, clamped to [-1, 1], [frames, window height · patch, window width · patch,
// channels / patch²].
Tensor unpatchify_clamped(const Feature& patches, int64_t patch, kernels::Context& context);

}  // namespace mxvideo::models::wan_vae
