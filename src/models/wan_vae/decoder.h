// The decoder half: latents -> patches, in two parts. The middle block needs whole frames of latent
// size; the convolutions up to pixels run on any window of the frame.
#pragma once

#include <cstdint>
#include <vector>

#include "models/wan_vae/blocks.h"

namespace mxvideo::models::wan_vae {

class Decoder {
 public:
  explicit Decoder(const WanVaeConfig& config);
  void declare(ParameterSink& sink);

  // One frame of latents [1, h, w, z_dim] -> features of latent size [1, h, w, feature_channels()].
  Feature from_latent(const Feature& latent, Pass& pass) const;
  // Features of one chunk -> patches, neither clamped nor unfolded; the window loses its halo.
  Feature up(Feature features, Pass& pass) const;

  int64_t feature_channels() const { return channels_; }
  // Latent positions at each side of a window that do not come out of up(), at most.
  int64_t halo() const;
  int64_t bytes() const;

 private:
  int64_t channels_;
  int64_t out_channels_;
  int next_slot_ = 0;
  ConvLayer post_quant_conv_;
  ConvLayer conv_in_;
  MidBlock mid_;
  std::vector<Stage> stages_;
  NormLayer norm_out_;
  ConvLayer conv_out_;
};

}  // namespace mxvideo::models::wan_vae
