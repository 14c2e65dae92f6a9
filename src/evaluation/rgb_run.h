// A run whose video is kept as the bytes that a file of it is made of.
#pragma once

#include "media/video_writer.h"
#include "pipeline/run.h"

namespace mxvideo::evaluation {

// Sets run.hooks.on_frames. Throws as pipeline::generate() and media::FrameSink.
media::RgbVideo generate_rgb(pipeline::Run& run);

}  // namespace mxvideo::evaluation
