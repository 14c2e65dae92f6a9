// Denoised latents to frames, with nothing of a model but its VAE: the end of every run, and of one
// whose latents were saved. Source of the procedure: as wan_pipeline.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "kernels/common/context.h"
#include "models/wan_vae/wan_vae.h"
#include "pipeline/generate_request.h"
#include "pipeline/run_report.h"
#include "pipeline/wan_pipeline.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

// Whether frames of this size are decoded in tiles.
bool uses_vae_tiling(VaeTilingMode mode, int64_t width, int64_t height);

// What a media::FrameSink keeps of such a video [frames, height, width, 3] in samples of 8 bits:
// the frame that it converts, or all of one that comes in tiles.
int64_t sink_bytes(const Shape& video, bool tiling);

struct DecodeOptions {
  std::filesystem::path vae;  // directory of its config.json and weights
  VaeTilingMode tiling = VaeTilingMode::kAuto;
  std::map<std::string, std::string, std::less<>> forced_kernels = {};  // op -> row
};

// One decode at a time per object. Errors: of the VAE's files as WanPipeline's.
class LatentDecoder {
 public:
  // Reads the config, no weights.
  explicit LatentDecoder(DecodeOptions options);

  // [frames, height, width, 3] of the video.
  Shape video_shape(const Shape& latents) const;
  bool tiling(const Shape& latents) const;
  // Throws Code::kInvalidArgument unless latents [z, frames, h, w] have the channels of this VAE.
  void check_latents(const Shape& latents, const std::string& origin) const;
  // Most memory that decode() takes beside the latents, and a media::FrameSink for 8 bits with it.
  int64_t planned_bytes(const Shape& latents) const;
  // Gives hooks.on_frames the bits that the run gave which these latents are of, and adds to its
  // report.
  void decode(const Tensor& latents, const RunHooks& hooks, RunReport& report) const;

 private:
  DecodeOptions options_;
  models::WanVaeConfig config_;
};

}  // namespace mxvideo::pipeline
