#include "pipeline/image_condition.h"

#include <algorithm>

#include "base/error.h"

namespace mxvideo::pipeline {
namespace {

void copy_values(const Tensor& source, float* destination) {
  std::ranges::copy(source.values(), destination);
}

// [3, height, width] to [height, width, 3].
void copy_channels_last(const Tensor& image, float* destination) {
  const int64_t plane = image.dim(1) * image.dim(2);
  for (int64_t i = 0; i < plane; ++i) {
    for (int64_t c = 0; c < 3; ++c) destination[i * 3 + c] = image.f32()[c * plane + i];
  }
}

}  // namespace

Tensor condition_video(const Tensor& first, const Tensor* last, int64_t num_frames) {
  check(first.shape().rank() == 3 && first.dim(0) == 3, "an image is [3, height, width]");
  check(last == nullptr || (last->shape() == first.shape() && num_frames > 1),
        "the last image has the size of the first and a frame of its own");
  Tensor video = Tensor::zeros({num_frames, first.dim(1), first.dim(2), 3});
  copy_channels_last(first, video.f32());
  if (last != nullptr) copy_channels_last(*last, video.f32() + (num_frames - 1) * first.count());
  return video;
}

Tensor i2v_condition(const Tensor& condition_latents, int64_t num_frames, int64_t frame_stride,
                     bool has_last_image) {
  const int64_t frames = condition_latents.dim(1);
  const int64_t plane = condition_latents.dim(2) * condition_latents.dim(3);
  check(num_frames == frame_stride * (frames - 1) + 1, "latent frames match pixel frames");
  Tensor mask =
      Tensor::zeros({frame_stride, frames, condition_latents.dim(2), condition_latents.dim(3)});
  // Channel c of latent frame f stands for pixel frame stride·f + c - (stride - 1): the first pixel
  // frame is repeated to fill the first latent frame.
  const auto fill = [&](int64_t channel, int64_t frame) {
    std::fill_n(mask.f32() + (channel * frames + frame) * plane, plane, 1.0f);
  };
  for (int64_t channel = 0; channel < frame_stride; ++channel) fill(channel, 0);
  if (has_last_image) fill(frame_stride - 1, frames - 1);
  return concat_channels(mask, condition_latents);
}

Tensor concat_channels(const Tensor& a, const Tensor& b) {
  for (int axis = 1; axis < 4; ++axis) {
    check(a.dim(axis) == b.dim(axis), "stacked tensors agree in frames, height and width");
  }
  Tensor result(DType::kF32, {a.dim(0) + b.dim(0), a.dim(1), a.dim(2), a.dim(3)});
  copy_values(a, result.f32());
  copy_values(b, result.f32() + a.count());
  return result;
}

void set_first_frame(Tensor& latents, const Tensor& condition_latent) {
  const int64_t channels = latents.dim(0), frames = latents.dim(1);
  const int64_t plane = latents.dim(2) * latents.dim(3);
  check(condition_latent.count() == channels * plane, "the condition is one latent frame");
  for (int64_t channel = 0; channel < channels; ++channel) {
    std::copy_n(condition_latent.f32() + channel * plane, plane,
                latents.f32() + channel * frames * plane);
  }
}

}  // namespace mxvideo::pipeline
