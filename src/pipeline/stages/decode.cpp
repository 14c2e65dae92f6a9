#include "pipeline/stages/decode.h"

#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/key_map.h"
#include "device/dry_device.h"
#include "kernels/common/working_memory.h"

namespace mxvideo::pipeline {
namespace {

// Frames above this many pixels are decoded in tiles unless the request says otherwise: untiled,
// the widest activations of the VAE decoder need some 5 kB per pixel of a frame.
constexpr int64_t kTilingPixels = int64_t{1024} * 1024;

models::WanVaeConfig read_config(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "config.json";
  return models::WanVaeConfig::from_json(read_json_file(path), path.string());
}

void decode_latents(StageContext& stage, const VaeSource& source, const Tensor& normalised,
                    bool tiling) {
  const VaeUse vae(stage, source, {.encoder = false, .decoder = true});
  const StageTimer timer(stage.report, "decode");
  const kernels::WorkingMemory memory(
      stage.context, kernels::plan_working_memory(stage.context, [&](kernels::Context& dry) {
        decode_frames(source.config, *vae, normalised,
                      {.context = &dry, .tiling = vae_tiles(tiling)},
                      [](const media::FramePart&) {});
      }));
  const auto hand_out = [&](const media::FramePart& part) {
    if (!stage.hooks.on_frames) return;
    const OnHost values(part.values);
    stage.hooks.on_frames({.values = *values,
                           .video = part.video,
                           .first_frame = part.first_frame,
                           .top = part.top,
                           .left = part.left});
  };
  decode_frames(source.config, *vae, normalised, vae_run(stage, "decode", tiling), hand_out);
  stage.context.device().synchronize();
}

}  // namespace

void decode_frames(const models::WanVaeConfig& config, const models::WanVae& vae,
                   const Tensor& normalised, const models::WanVaeRun& run,
                   FunctionRef<void(const media::FramePart&)> sink) {
  Tensor latents = run.context->tensor(normalised.shape());
  models::denormalize_latents(config, normalised, latents, *run.context);
  vae.decode(latents, run, sink);
}

int64_t sink_bytes(const Shape& video, bool tiling) {
  return (tiling ? video[0] : 1) * video[1] * video[2] * video[3];
}

bool uses_vae_tiling(VaeTilingMode mode, int64_t width, int64_t height) {
  if (mode == VaeTilingMode::kAuto) return width * height > kTilingPixels;
  return mode == VaeTilingMode::kOn;
}

std::optional<models::WanVaeTiling> vae_tiles(bool tiling) {
  return tiling ? std::optional(models::WanVaeTiling()) : std::nullopt;
}

VaeSource vae_source(const Engine& engine) {
  return {
      .config = engine.vae_config(), .files = engine.vae_files(), .residency = engine.residency()};
}

VaeUse::VaeUse(StageContext& stage, const VaeSource& source, models::WanVaeParts parts) {
  for (const std::string& line : source.files.notices()) stage.notice(line);
  vae_ = stage.acquire<models::WanVae>(
      source.residency, parts.encoder ? "vae encoder" : "vae decoder", "vae", source.files, {},
      [&] { return std::make_shared<Loaded<models::WanVae>>(source.config, parts); });
  constexpr std::chrono::milliseconds kLook(50);
  lock_ = std::unique_lock(vae_->in_use, std::defer_lock);
  while (!lock_.try_lock_for(kLook)) stage.throw_if_cancelled();
}

models::WanVaeRun vae_run(StageContext& stage, const char* phase, bool tiling) {
  return {.context = &stage.context,
          .cancellation = stage.hooks.cancellation,
          .progress = [&stage, phase](int64_t done,
                                      int64_t total) { stage.progress(phase, done, total); },
          .tiling = vae_tiles(tiling)};
}

void decode(Run& run) {
  decode_latents(run, vae_source(run.engine), run.latents, run.request.vae_tiling);
}

LatentDecoder::LatentDecoder(DecodeOptions options)
    : options_(std::move(options)),
      config_(read_config(options_.vae)),
      files_(checkpoint::Checkpoint::open_directory(options_.vae)) {
  checkpoint::normalize_names(files_, checkpoint::Component::kVae);
}

Shape LatentDecoder::video_shape(const Shape& latents) const {
  return models::decoded_shape(config_, latents);
}

bool LatentDecoder::tiling(const Shape& latents) const {
  const Shape video = video_shape(latents);
  return uses_vae_tiling(options_.tiling, video[2], video[1]);
}

void LatentDecoder::check_latents(const Shape& latents, const std::string& origin) const {
  if (latents.rank() == 4 && latents[0] == config_.z_dim && latents.count() > 0) return;
  throw Error(Code::kInvalidArgument, origin + ": the VAE " + options_.vae.string() +
                                          " decodes latents of " + std::to_string(config_.z_dim) +
                                          " channels, got shape " + latents.to_string());
}

int64_t LatentDecoder::planned_bytes(const Shape& latents) const {
  DryDevice device;
  kernels::Context context(options_.policy, device);
  models::WanVae vae(config_, {.encoder = false, .decoder = true});
  checkpoint::ParameterLoader loader;
  vae.declare_parameters(loader);
  loader.load_dry(files_, context);
  const bool tiles = tiling(latents);
  const Tensor normalised(DType::kF32, latents, device);
  const kernels::WorkingMemory memory(context);
  decode_frames(config_, vae, normalised, {.context = &context, .tiling = vae_tiles(tiles)},
                [](const media::FramePart&) {});
  return device.peak_allocated_bytes() + memory.arena().extent() +
         sink_bytes(video_shape(latents), tiles);
}

void LatentDecoder::decode(const Tensor& latents, const RunHooks& hooks) const {
  StageContext stage{.hooks = hooks, .context = kernels::Context(options_.policy)};
  const VaeSource source{.config = config_, .files = files_, .residency = residency_};
  decode_latents(stage, source, latents, tiling(latents.shape()));
}

}  // namespace mxvideo::pipeline
