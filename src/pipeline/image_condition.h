// Image conditioning of the two image-to-video forms of Wan2.2. Pure functions over latents.
// Source: prepare_latents of diffusers' WanImageToVideoPipeline.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace mxvideo::pipeline {

// The video that I2V-A14B encodes: `first` [3, height, width] in [-1, 1], zeros, and `last` when
// it is not null. Result [num_frames, height, width, 3].
Tensor condition_video(const Tensor& first, const Tensor* last, int64_t num_frames);

// I2V-A14B: four mask channels (1 where pixels are given, one per frame of the temporal stride)
// and the normalised condition latents [z, frames, h, w]. Result [stride + z, frames, h, w].
Tensor i2v_condition(const Tensor& condition_latents, int64_t num_frames, int64_t frame_stride,
                     bool has_last_image);

// Stacks a [a, …] and b [b, …] along channels.
Tensor concat_channels(const Tensor& a, const Tensor& b);

// TI2V-5B: writes the condition latent [z, 1, h, w] over frame 0 of latents [z, frames, h, w].
void set_first_frame(Tensor& latents, const Tensor& condition_latent);

}  // namespace mxvideo::pipeline
