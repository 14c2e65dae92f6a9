#include "evaluation/rgb_run.h"

#include <utility>

#include "media/frame_sink.h"

namespace mxvideo::evaluation {

RgbRun::RgbRun(const pipeline::WanPipeline& model, const pipeline::GenerateRequest& request,
               pipeline::RunHooks hooks) {
  const pipeline::ResolvedRequest resolved = model.resolve(request);
  media::RgbCollector collector({.height = resolved.height, .width = resolved.width});
  media::FrameSink sink(collector);
  hooks.on_frames = [&](const media::FramePart& part) { sink.add(part); };
  result = model.generate(request, hooks);
  sink.finish();
  video = collector.take();
}

}  // namespace mxvideo::evaluation
