#include "pipeline/stages/condition.h"

#include <string>

#include "media/image_resize.h"
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

void encode_condition(Run& run) {
  if (!run.asked.image) return;
  const Tensor first = prepare_image(run, *run.asked.image);
  const models::WanVaeConfig& config = run.engine.vae_config();
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
  Tensor latents = vae->encode(video, vae_run(run, "encode image", run.request.vae_tiling));
  models::normalize_latents(config, latents, run.context);
  run.condition = ti2v ? std::move(latents)
                       : i2v_condition(latents,
                                       {.frames = run.request.num_frames,
                                        .stride = config.scale_factor_temporal,
                                        .last_is_given = run.asked.last_image.has_value()},
                                       run.context);
}

}  // namespace mxvideo::pipeline
