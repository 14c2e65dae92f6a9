// What a user asks for, and what that means for one model: defaults filled in, everything checked
// before a weight is read. Plain values; thread-safe as such.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/wan/generation_defaults.h"
#include "checkpoint/wan/model_index.h"
#include "pipeline/image_preprocess.h"
#include "pipeline/solver/unipc_scheduler.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

enum class VaeTilingMode : uint8_t { kAuto, kOn, kOff };

// What somebody may say of a video; what is absent is the model's to decide.
struct GenerationParameters {
  std::string prompt;
  std::optional<std::string> negative_prompt;
  std::optional<ImageFit> image_fit;     // absent: as the reference, see resolve_request()
  std::optional<int64_t> width, height;  // pixels; both or none
  std::optional<int64_t> num_frames;     // 4n+1
  std::optional<int64_t> fps;
  std::optional<int64_t> num_inference_steps;
  // As in Diffusers: guidance_scale drives `transformer` (high noise), guidance_scale_2 drives
  // `transformer_2` (low noise) and defaults to the former when only that is given.
  std::optional<double> guidance_scale, guidance_scale_2;
  std::optional<double> flow_shift;      // overrides scheduler_config.json
  std::optional<double> boundary_ratio;  // overrides model_index.json
  SigmaGrid sigma_grid = SigmaGrid::kDiffusers;
  std::optional<uint64_t> seed;  // absent: 0; fronts draw one
  VaeTilingMode vae_tiling = VaeTilingMode::kAuto;
};

struct GenerateRequest : GenerationParameters {
  std::optional<media::RgbImage> image;       // first frame; makes it image-to-video
  std::optional<media::RgbImage> last_image;  // I2V-A14B only
  media::RgbColor image_padding = {0, 0, 0};  // of bars beside an image that is contained
  // SHA-256 of the files that the images come from; empty: unknown. For the recipe.
  std::string image_sha256, last_image_sha256;
  std::optional<Tensor> initial_noise;  // [z, frames, h, w] instead of the seed's
  // What whoever made this request has to say about it; the run says it first.
  std::vector<std::string> notices;
};

// A request with every value decided.
struct ResolvedRequest {
  std::string prompt, negative_prompt;
  int64_t width = 0, height = 0, num_frames = 0, fps = 0, num_inference_steps = 0;
  // Of `transformer` and `transformer_2`; at least 1, which is no guidance.
  double guidance_scale = 1, guidance_scale_2 = 1;
  double boundary_ratio = 0, flow_shift = 1;
  ImageFit image_fit = ImageFit::kStretch;
  uint64_t seed = 0;
  // Set by Engine::resolve(): the prompts as the tokenizer takes them, steps of each expert, and
  // whether the VAE works in tiles.
  std::string cleaned_prompt, cleaned_negative_prompt;
  std::array<int64_t, 2> expert_steps = {};
  bool vae_tiling = false;
  // What changes nothing or means something else than it says, in one line each.
  std::vector<std::string> notices;

  double guidance_of(int expert) const { return expert == 0 ? guidance_scale : guidance_scale_2; }
  // Whether a step of this expert takes a second forward, of the negative prompt. Each expert's own
  // scale decides; Diffusers looks at the first one only and computes 1 and 4 as 1 and 1.
  bool guided(int expert) const { return guidance_of(expert) > 1; }
  // Whether any step is guided: the negative prompt matters.
  bool use_guidance() const;
};

// What a request must fit, from the configs of the model.
struct ModelRules {
  checkpoint::WanVariant variant = checkpoint::WanVariant::kTI2V;
  int64_t pixel_multiple = 16;  // VAE stride × patch
  int64_t frame_stride = 4;     // frames = stride·n + 1
  double boundary_ratio = 0;    // of model_index.json
  double flow_shift = 1;        // of scheduler_config.json
  checkpoint::GenerationDefaults defaults;
};

// Throws Code::kInvalidArgument naming the nearest valid values; nothing is rounded. Without a wish
// images are fitted as Diffusers does for a given size: stretched to it. A size that follows from
// the image keeps its aspect; what TI2V-5B then has too much is cut off, as Wan2.2 does.
ResolvedRequest resolve_request(const GenerateRequest& request, const ModelRules& rules);

}  // namespace mxvideo::pipeline
