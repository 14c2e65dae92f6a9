// Stage: pictures to the condition latents of image-to-video. Without a picture nothing happens.
#pragma once

namespace mxvideo::pipeline {

struct Run;

// run.asked.image and last_image to run.condition. Throws Code::kCancelled, and as loading the VAE.
void encode_condition(Run& run);

}  // namespace mxvideo::pipeline
