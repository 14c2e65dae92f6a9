// Image conditioning of the two image-to-video forms of Wan2.2, on the device of `context`.
// Source: prepare_latents of diffusers' WanImageToVideoPipeline.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

// The video that I2V-A14B encodes: `first` [3, height, width] in [-1, 1], zeros, and `last` when
// it is not null. Result [num_frames, height, width, 3].
Tensor condition_video(const Tensor& first, const Tensor* last, int64_t num_frames,
                       kernels::Context& context);

// I2V-A14B: four mask channels (1 where pixels are given, one per frame of the temporal stride)
// and the normalised condition latents [z, frames, h, w]. Result [stride + z, frames, h, w].
struct I2vFrames {
  int64_t frames = 0;  // of the video
  int64_t stride = 0;  // frames for one of the latents after the first
  bool last_is_given = false;
};
Tensor i2v_condition(const Tensor& condition_latents, const I2vFrames& video,
                     kernels::Context& context);

// Stacks a [a, …] and b [b, …] along channels.
Tensor concat_channels(const Tensor& a, const Tensor& b, kernels::Context& context);

// TI2V-5B: writes the condition latent [z, 1, h, w] over frame 0 of latents [z, frames, h, w].
void set_first_frame(Tensor& latents, const Tensor& condition_latent, kernels::Context& context);

}  // namespace mxvideo::pipeline
