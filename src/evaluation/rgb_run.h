// A run whose video is kept as the bytes that a file of it is made of. Throws as
// WanPipeline::generate() and media::FrameSink.
#pragma once

#include "media/video_writer.h"
#include "pipeline/wan_pipeline.h"

namespace mxvideo::evaluation {

struct RgbRun {
  // hooks.on_frames is not used.
  RgbRun(const pipeline::WanPipeline& model, const pipeline::GenerateRequest& request,
         pipeline::RunHooks hooks);

  pipeline::GenerateResult result;
  media::RgbVideo video;
};

}  // namespace mxvideo::evaluation
