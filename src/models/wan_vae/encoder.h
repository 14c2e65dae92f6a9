// The encoder half: pixels (patches) -> posterior mode, in two parts. The convolutions down to
// latent size run on any window of the frame; what follows needs whole frames of latent size.
#pragma once

#include <cstdint>
#include <vector>

#include "models/wan_vae/blocks.h"

namespace mxvideo::models::wan_vae {

class Encoder {
 public:
  explicit Encoder(const WanVaeConfig& config);
  void declare(ParameterSink& sink);

  // Patches of one chunk -> features of latent size; the window loses its halo.
  Feature down(const Feature& patches, Pass& pass) const;
  // Features of latent size -> mode [frames, h, w, z_dim], one chunk.
  Tensor to_latent(const Feature& features, Pass& pass) const;

  int64_t latent_channels() const { return channels_; }  // of what down() gives
  // Patches at each side of a window that do not come out of down(), at most.
  int64_t halo() const;
  int64_t bytes() const;

 private:
  int64_t z_dim_;
  int64_t channels_;
  int next_slot_ = 0;
  ConvLayer conv_in_;
  std::vector<Stage> stages_;
  MidBlock mid_;
  NormLayer norm_out_;
  ConvLayer conv_out_;
  ConvLayer quant_conv_;
};

}  // namespace mxvideo::models::wan_vae
