#include "pipeline/wan_decode.h"

#include <utility>

#include "base/error.h"
#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "device/dry_device.h"
#include "pipeline/wan_run.h"

namespace mxvideo::pipeline {
namespace {

// Frames above this many pixels are decoded in tiles unless the request says otherwise: untiled,
// the widest activations of the VAE decoder need some 5 kB per pixel of a frame.
constexpr int64_t kTilingPixels = int64_t{1024} * 1024;

models::WanVaeConfig read_config(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "config.json";
  return models::WanVaeConfig::from_json(read_json_file(path), path.string());
}

kernels::RunPolicy run_policy(const DecodeOptions& options) {
  return {.forced_rows = options.forced_kernels};
}

}  // namespace

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

std::unique_ptr<models::WanVae> load_vae(WanRun& run, const VaeFiles& files,
                                         models::WanVaeParts parts) {
  const StageTimer timer(run.report, "load_vae");
  auto vae = std::make_unique<models::WanVae>(files.config, parts);
  run.load_component("vae", files.directory, checkpoint::Component::kVae, *vae);
  return vae;
}

models::WanVaeRun vae_run(WanRun& run, const char* phase) {
  models::WanVaeRun vae_run;
  vae_run.context = &run.context;
  vae_run.cancellation = run.hooks.cancellation;
  vae_run.progress = [&run, phase](int64_t done, int64_t total) {
    run.progress(phase, done, total);
  };
  vae_run.tiling = vae_tiles(run.request.vae_tiling);
  return vae_run;
}

void decode_latents(WanRun& run, const VaeFiles& files) {
  const std::unique_ptr<models::WanVae> vae =
      load_vae(run, files, {.encoder = false, .decoder = true});
  const StageTimer timer(run.report, "decode");
  Tensor latents = run.latents.clone();
  models::denormalize_latents(files.config, latents, run.context);
  vae->decode(latents, vae_run(run, "decode"), [&](const media::FramePart& part) {
    if (!run.hooks.on_frames) return;
    if (&part.values.device() == &cpu_device()) return run.hooks.on_frames(part);
    const Tensor values = part.values.copy_to(cpu_device());
    run.hooks.on_frames({.values = values,
                         .video = part.video,
                         .first_frame = part.first_frame,
                         .top = part.top,
                         .left = part.left});
  });
}

LatentDecoder::LatentDecoder(DecodeOptions options)
    : options_(std::move(options)), config_(read_config(options_.vae)) {}

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
  kernels::Context context(run_policy(options_), device);
  models::WanVae vae(config_, {.encoder = false, .decoder = true});
  checkpoint::Checkpoint files = checkpoint::Checkpoint::open_directory(options_.vae);
  checkpoint::normalize_names(files, checkpoint::Component::kVae);
  checkpoint::ParameterLoader loader;
  vae.declare_parameters(loader);
  loader.load_dry(files, context);
  device.reset_peak_allocated_bytes();
  const bool tiles = tiling(latents);
  vae.decode(context.tensor(latents), {.context = &context, .tiling = vae_tiles(tiles)},
             [](const media::FramePart&) {});
  return device.peak_allocated_bytes() + sink_bytes(video_shape(latents), tiles);
}

void LatentDecoder::decode(const Tensor& latents, const RunHooks& hooks, RunReport& report) const {
  const GenerateRequest asked;
  WanRun run{.asked = asked, .request = {}, .hooks = hooks, .report = report};
  run.request.vae_tiling = tiling(latents.shape());
  run.context = kernels::Context(run_policy(options_));
  run.latents = latents.clone();
  decode_latents(run, {.directory = options_.vae, .config = config_});
  run.report.add_kernels(run.context);
  report = std::move(run.report);
}

}  // namespace mxvideo::pipeline
