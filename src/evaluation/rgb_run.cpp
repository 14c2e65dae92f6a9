#include "evaluation/rgb_run.h"

#include "media/frame_sink.h"

namespace mxvideo::evaluation {

media::RgbVideo generate_rgb(pipeline::Run& run) {
  media::RgbCollector collector({.height = run.request.height, .width = run.request.width});
  media::FrameSink sink(collector);
  run.hooks.on_frames = [&](const media::FramePart& part) { sink.add(part); };
  pipeline::generate(run);
  sink.finish();
  return collector.take();
}

}  // namespace mxvideo::evaluation
