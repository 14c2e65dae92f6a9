// Stage: denoised latents to frames, the end of every run; and the same with nothing of a model but
// its VAE, for latents that were saved.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "models/wan_vae/wan_vae.h"
#include "pipeline/run.h"

namespace mxvideo::pipeline {

struct VaeSource {
  const models::WanVaeConfig& config;
  const checkpoint::Checkpoint& files;
  Residency& residency;
};
VaeSource vae_source(const Engine& engine);

// A VAE with the weights of some parts. What its convolutions prepare for the sizes that they meet
// is not thread-safe, so one that several runs share is of one of them at a time.
class VaeUse {
 public:
  // Waits for others. Throws Code::kCancelled, and as loading does.
  VaeUse(StageContext& stage, const VaeSource& source, models::WanVaeParts parts);
  const models::WanVae& operator*() const { return vae_->model; }
  const models::WanVae* operator->() const { return &vae_->model; }

 private:
  std::shared_ptr<const Loaded<models::WanVae>> vae_;
  std::unique_lock<std::timed_mutex> lock_;
};

std::optional<models::WanVaeTiling> vae_tiles(bool tiling);
// Progress under the name of `phase`.
models::WanVaeRun vae_run(StageContext& stage, const char* phase, bool tiling);

// run.latents to run.hooks.on_frames. Throws Code::kCancelled and what the hook throws.
void decode(Run& run);

// Whether frames of this size are decoded in tiles.
bool uses_vae_tiling(VaeTilingMode mode, int64_t width, int64_t height);

// What a media::FrameSink keeps of such a video [frames, height, width, 3] in samples of 8 bits:
// the frame that it converts, or all of one that comes in tiles.
int64_t sink_bytes(const Shape& video, bool tiling);

// The latents of a run, as the solver leaves them, to parts of frames. In memory of the context.
void decode_frames(const models::WanVaeConfig& config, const models::WanVae& vae,
                   const Tensor& normalised, const models::WanVaeRun& run,
                   FunctionRef<void(const media::FramePart&)> sink);

struct DecodeOptions {
  std::filesystem::path vae;  // directory of its config.json and weights
  VaeTilingMode tiling = VaeTilingMode::kAuto;
  kernels::RunPolicy policy = {};
};

// One decode at a time per object. Errors: of the VAE's files as Engine's.
class LatentDecoder {
 public:
  // Reads the config and the files' headers, no weights.
  explicit LatentDecoder(DecodeOptions options);

  // [frames, height, width, 3] of the video.
  Shape video_shape(const Shape& latents) const;
  bool tiling(const Shape& latents) const;
  // Throws Code::kInvalidArgument unless latents [z, frames, h, w] have the channels of this VAE.
  void check_latents(const Shape& latents, const std::string& origin) const;
  // Most memory that decode() takes beside the latents, and a media::FrameSink for 8 bits with it.
  int64_t planned_bytes(const Shape& latents) const;
  // Gives hooks.on_frames the bits that the run gave which these latents are of.
  void decode(const Tensor& latents, const RunHooks& hooks) const;

 private:
  DecodeOptions options_;
  models::WanVaeConfig config_;
  checkpoint::Checkpoint files_;
  mutable Residency residency_{0};
};

}  // namespace mxvideo::pipeline
