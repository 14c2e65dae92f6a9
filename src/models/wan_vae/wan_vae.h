// The Wan causal video autoencoder, versions 2.1 (8x8x4, 16 channels) and 2.2 (16x16x4, 48
// channels). Source: diffusers AutoencoderKLWan; chunking and causal caches exactly as there.
// Always fp32, never quantized. Immutable after loading (convolutions keep what oneDNN prepared
// for the sizes they met); encode() and decode() from one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/function_ref.h"
#include "checkpoint/parameter_loader.h"
#include "kernels/common/context.h"
#include "media/frame_part.h"
#include "tensor/tensor.h"

namespace mxvideo::models {

struct WanVaeConfig {
  int64_t base_dim = 96;
  int64_t decoder_base_dim = 96;  // base_dim when the config has none
  int64_t z_dim = 16;
  std::vector<int64_t> dim_mult = {1, 2, 4, 4};
  int64_t num_res_blocks = 2;
  std::vector<bool> temporal_downsample = {false, true, true};
  bool is_residual = false;  // 2.2 blocks with AvgDown3D / DupUp3D shortcuts
  int64_t in_channels = 3;   // 3·patch_size²
  int64_t out_channels = 3;
  int64_t patch_size = 1;
  int64_t scale_factor_spatial = 8;
  int64_t scale_factor_temporal = 4;
  std::vector<float> latents_mean;  // [z_dim]
  std::vector<float> latents_std;   // [z_dim]

  // Reads vae/config.json of the Diffusers layout. Throws Code::kCorruptFile on a field that is
  // missing, of the wrong type, out of range or in contradiction to another; Code::kUnsupported on
  // attention scales, which no Wan VAE has.
  static WanVaeConfig from_json(const nlohmann::json& json, const std::string& origin);
};

// Spatial tiles, so that memory depends on the tile and not on the frame. Sizes in pixels, rounded
// down to whole latents, at least one.
//   kExact: equal to the untiled result within rounding. The middle block, whose attention spans
//     the frame, runs untiled at latent size; the convolutions run on tiles that carry as much of
//     their surroundings as they read. The stride is not used.
//   kBlend: as Diffusers' enable_tiling: tiles are independent frames that overlap by
//     tile - stride and are blended linearly; the encoder counts in patches, as there.
struct WanVaeTiling {
  enum class Mode : uint8_t { kExact, kBlend };
  Mode mode = Mode::kExact;
  int64_t tile_height = 256, tile_width = 256;
  int64_t stride_height = 192, stride_width = 192;
};

struct WanVaeRun {
  kernels::Context* context = nullptr;
  const CancellationToken* cancellation = nullptr;                 // optional; checked at each step
  std::function<void(int64_t done, int64_t total)> progress = {};  // optional; per chunk and tile
  std::optional<WanVaeTiling> tiling = std::nullopt;
  // Optional: receives intermediates named "chunk0.conv_in", "chunk1.up_blocks.0", … as
  // [frames, height, width, channels]. With tiles only of the untiled part.
  std::function<void(const std::string& name, const Tensor& value)> observe = {};
};

// Which halves hold weights. The tensors of the other half must still be in the checkpoint with
// the right shapes, but are not read.
struct WanVaeParts {
  bool encoder = true;
  bool decoder = true;
};

class WanVae {
 public:
  explicit WanVae(const WanVaeConfig& config, WanVaeParts parts = {});
  ~WanVae();
  WanVae(const WanVae&) = delete;
  WanVae& operator=(const WanVae&) = delete;

  const WanVaeConfig& config() const;
  // Diffusers names. The loader must be run before this object goes away or moves.
  void declare_parameters(checkpoint::ParameterLoader& loader);

  // video [frames, height, width, 3] in [-1, 1], frames = 4n+1 -> mode of the posterior, raw
  // (not normalised), [z_dim, n+1, height/s, width/s]. Throws Code::kInvalidArgument on a size
  // that is no multiple of the scale factors, Code::kCancelled.
  Tensor encode(const Tensor& video, const WanVaeRun& run) const;
  // latents [z_dim, frames, h, w], already multiplied by std and shifted by mean -> video
  // [4·(frames-1)+1, h·s, w·s, 3] clamped to [-1, 1]. `sink` gets its frames as they are done: of
  // each latent frame whole ones in their order, with tiles those of one tile after the other.
  // Throws Code::kCancelled and what `sink` throws.
  void decode(const Tensor& latents, const WanVaeRun& run,
              FunctionRef<void(const media::FramePart&)> sink) const;
  int64_t weight_bytes() const;

 private:
  struct Halves;
  WanVaeConfig config_;
  WanVaeParts parts_;
  std::unique_ptr<Halves> halves_;
};

// That of the video that decode() makes of latents.
Shape decoded_shape(const WanVaeConfig& config, const Shape& latents);

// (x - mean) / std and its inverse, per channel, of latents [z_dim, …] in `result`, which may be
// `latents`.
void normalize_latents(const WanVaeConfig& config, const Tensor& latents, Tensor& result,
                       kernels::Context& context);
void denormalize_latents(const WanVaeConfig& config, const Tensor& latents, Tensor& result,
                         kernels::Context& context);

}  // namespace mxvideo::models
