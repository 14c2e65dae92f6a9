#include "pipeline/image_condition.h"

#include "base/error.h"
#include "kernels/layout/copy_nd.h"
#include "kernels/layout/fill.h"

namespace mxvideo::pipeline {
namespace {

Tensor zeros(const Shape& shape, kernels::Context& context) {
  Tensor tensor = context.tensor(shape);
  kernels::fill({.y = tensor, .width = tensor.count()}, context);
  return tensor;
}

}  // namespace

Tensor condition_video(const Tensor& first, const Tensor* last, int64_t num_frames,
                       kernels::Context& context) {
  check(first.shape().rank() == 3 && first.dim(0) == 3, "an image is [3, height, width]");
  check(last == nullptr || (last->shape() == first.shape() && num_frames > 1),
        "the last image has the size of the first and a frame of its own");
  const int64_t plane = first.dim(1) * first.dim(2);
  Tensor video = zeros({num_frames, first.dim(1), first.dim(2), 3}, context);
  const auto set_frame = [&](int64_t frame, const Tensor& image) {
    kernels::copy_nd(
        {.x = image,
         .y = video.from(frame * image.count()),
         .axes = {{{.extent = 3, .from = plane, .to = 1}, {.extent = plane, .from = 1, .to = 3}}}},
        context);
  };
  set_frame(0, first);
  if (last != nullptr) set_frame(num_frames - 1, *last);
  return video;
}

Tensor i2v_condition(const Tensor& condition_latents, const I2vFrames& video,
                     kernels::Context& context) {
  const int64_t frames = condition_latents.dim(1);
  const int64_t plane = condition_latents.dim(2) * condition_latents.dim(3);
  check(video.frames == video.stride * (frames - 1) + 1, "latent frames match pixel frames");
  Tensor mask =
      zeros({video.stride, frames, condition_latents.dim(2), condition_latents.dim(3)}, context);
  // Channel c of latent frame f stands for pixel frame stride·f + c - (stride - 1): the first pixel
  // frame is repeated to fill the first latent frame.
  kernels::fill(
      {.y = mask, .value = 1, .rows = video.stride, .width = plane, .stride = frames * plane},
      context);
  if (video.last_is_given) {
    kernels::fill({.y = mask.from(mask.count() - plane), .value = 1, .width = plane}, context);
  }
  return concat_channels(mask, condition_latents, context);
}

Tensor concat_channels(const Tensor& a, const Tensor& b, kernels::Context& context) {
  for (int axis = 1; axis < 4; ++axis) {
    check(a.dim(axis) == b.dim(axis), "stacked tensors agree in frames, height and width");
  }
  Tensor result = context.tensor({a.dim(0) + b.dim(0), a.dim(1), a.dim(2), a.dim(3)});
  kernels::copy_nd({.x = a, .y = result, .axes = {{{a.count(), 1, 1}}}}, context);
  kernels::copy_nd({.x = b, .y = result.from(a.count()), .axes = {{{b.count(), 1, 1}}}}, context);
  return result;
}

void set_first_frame(Tensor& latents, const Tensor& condition_latent, kernels::Context& context) {
  const int64_t channels = latents.dim(0), frames = latents.dim(1);
  const int64_t plane = latents.dim(2) * latents.dim(3);
  check(condition_latent.count() == channels * plane, "the condition is one latent frame");
  kernels::copy_nd({.x = condition_latent,
                    .y = latents,
                    .axes = {{{.extent = channels, .from = plane, .to = frames * plane},
                              {.extent = plane, .from = 1, .to = 1}}}},
                   context);
}

}  // namespace mxvideo::pipeline
