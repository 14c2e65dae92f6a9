#include "pipeline/stages/condition.h"

#include <string>

#include "kernels/common/working_memory.h"
#include "media/image/image_resize.h"
#include "pipeline/image_condition.h"
#include "pipeline/run.h"
#include "pipeline/stages/decode.h"

namespace mxvideo::pipeline {
namespace {

// A change of aspect by more than this factor is worth a line.
constexpr double kNoticedStretch = 1.05;

Tensor prepare_image(Run& run, const media::RgbImage& image) {
  const media::ImageSize target{.height = run.request.height, .width = run.request.width};
  const double aspect =
      static_cast<double>(image.size.width) / static_cast<double>(image.size.height);
  const double stretch =
      aspect * static_cast<double>(target.height) / static_cast<double>(target.width);
  const bool noticed = stretch > kNoticedStretch || stretch < 1 / kNoticedStretch;
  if (noticed && !run.asked.image_fit && run.request.image_fit == ImageFit::kStretch) {
    run.notice("the image is " + std::to_string(image.size.width) + "x" +
               std::to_string(image.size.height) + " and is stretched to " +
               std::to_string(target.width) + "x" + std::to_string(target.height) +
               "; fit it by cover or contain" +
               (run.asked.width ? ", or leave out the size," : "") + " to keep its aspect");
  }
  return to_signed_tensor(fit_image(image, target, run.request.image_fit, run.asked.image_padding))
      .copy_to(run.context.device());
}

}  // namespace

Tensor make_condition(const Engine& engine, const ResolvedRequest& request,
                      const models::WanVae& vae, const ConditionVideo& video,
                      const models::WanVaeRun& run) {
  Tensor latents = vae.encode(*video.frames, run);
  models::normalize_latents(engine.vae_config(), latents, latents, *run.context);
  if (engine.variant() == checkpoint::WanVariant::kTI2V) return latents;
  return i2v_condition(latents,
                       {.frames = request.num_frames,
                        .stride = engine.vae_config().scale_factor_temporal,
                        .last_is_given = video.last_is_given},
                       *run.context);
}

void encode_condition(Run& run) {
  if (!run.asked.image) return;
  const Tensor first = prepare_image(run, *run.asked.image);
  const bool ti2v = run.engine.variant() == checkpoint::WanVariant::kTI2V;
  const VaeUse vae(run, vae_source(run.engine), {.encoder = true, .decoder = false});
  const StageTimer timer(run.report, "encode_image");
  Tensor video;
  if (ti2v) {
    video = condition_video(first, nullptr, 1, run.context);
  } else if (run.asked.last_image) {
    const Tensor last = prepare_image(run, *run.asked.last_image);
    video = condition_video(first, &last, run.request.num_frames, run.context);
  } else {
    video = condition_video(first, nullptr, run.request.num_frames, run.context);
  }
  const auto encode = [&](const models::WanVaeRun& call) {
    return make_condition(run.engine, run.request, *vae,
                          {.frames = &video, .last_is_given = run.asked.last_image.has_value()},
                          call);
  };
  const bool tiling = run.request.vae_tiling;
  const kernels::WorkingMemory memory(
      run.context, kernels::plan_working_memory(run.context, [&](kernels::Context& dry) {
        encode({.context = &dry, .tiling = vae_tiles(tiling)});
      }));
  run.condition = encode(vae_run(run, "encode image", tiling)).copy_to(run.context.device());
  run.context.device().synchronize();
}

}  // namespace mxvideo::pipeline
