// Stage: pictures to the condition latents of image-to-video. Without a picture nothing happens.
#pragma once

#include "kernels/common/context.h"
#include "models/wan_vae/wan_vae.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

class Engine;
struct Run;
struct ResolvedRequest;

// What the transformer gets of a video [frames, h, w, 3] whose given frames are the pictures.
struct ConditionVideo {
  const Tensor* frames = nullptr;
  bool last_is_given = false;
};
Tensor make_condition(const Engine& engine, const ResolvedRequest& request,
                      const models::WanVae& vae, const ConditionVideo& video,
                      const models::WanVaeRun& run);

// run.asked.image and last_image to run.condition. Throws Code::kCancelled, and as loading the VAE.
void encode_condition(Run& run);

}  // namespace mxvideo::pipeline
