#include "pipeline/wan_decode.h"

#include <utility>

#include "base/error.h"
#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
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

kernels::Context make_context(const DecodeOptions& options) {
  kernels::Context context;
  context.forced_rows = options.forced_kernels;
  return context;
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
  models::denormalize_latents(files.config, latents);
  vae->decode(latents, vae_run(run, "decode"), [&](const media::FramePart& part) {
    if (run.hooks.on_frames) run.hooks.on_frames(part);
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
  const models::WanVae vae(config_, {.encoder = false, .decoder = true});
  kernels::Context context = make_context(options_);
  MemoryTrace trace;
  const bool tiles = tiling(latents);
  vae.plan_decode(latents, {.context = &context, .trace = &trace, .tiling = vae_tiles(tiles)});
  const Shape video = video_shape(latents);
  return trace.peak() + latents.count() * dtype_size(DType::kF32) + sink_bytes(video, tiles);
}

void LatentDecoder::decode(const Tensor& latents, const RunHooks& hooks, RunReport& report) const {
  const GenerateRequest asked;
  WanRun run{.asked = asked, .request = {}, .hooks = hooks, .report = report};
  run.request.vae_tiling = tiling(latents.shape());
  run.context = make_context(options_);
  run.context.choices = report.kernels;
  run.latents = latents.clone();
  decode_latents(run, {.directory = options_.vae, .config = config_});
  run.report.kernels = run.context.choices;
  report = std::move(run.report);
}

}  // namespace mxvideo::pipeline
