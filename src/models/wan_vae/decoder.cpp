#include "models/wan_vae/decoder.h"

#include <string>
#include <utility>

#include "base/checked.h"

namespace mxvideo::models::wan_vae {
namespace {

std::vector<Stage> make_stages(const WanVaeConfig& config, int* next_slot) {
  std::vector<Stage> stages;
  const size_t count = config.dim_mult.size();
  int64_t in = config.decoder_base_dim * config.dim_mult.back();
  for (size_t i = 0; i < count; ++i) {
    const std::string name = "decoder.up_blocks." + std::to_string(i);
    const size_t mirrored = count - 1 - i;
    const int64_t out = config.decoder_base_dim * config.dim_mult[mirrored];
    const bool resamples = i + 1 < count;
    const bool temporal = resamples && config.temporal_downsample[mirrored - 1];
    Stage stage(name);
    if (config.is_residual && resamples) {
      stage.set_shortcut({.up = true, .factors = {.time = temporal ? 2 : 1, .space = 2}});
    }
    for (int64_t j = 0; j <= config.num_res_blocks; ++j) {
      stage.add(
          ResidualBlock(name + ".resnets." + std::to_string(j), j == 0 ? in : out, out, next_slot));
    }
    // The resampler of 2.1 halves the channels, that of 2.2 keeps them.
    const int64_t resampled = config.is_residual ? out : out / 2;
    if (resamples) {
      stage.set_resample(
          Resample(name + (config.is_residual ? ".upsampler" : ".upsamplers.0"),
                   {.channels = out, .out_channels = resampled, .up = true, .temporal = temporal},
                   next_slot));
    }
    stages.push_back(std::move(stage));
    in = resampled;
  }
  return stages;
}

}  // namespace

Decoder::Decoder(const WanVaeConfig& config)
    : channels_(config.decoder_base_dim * config.dim_mult.back()),
      out_channels_(config.decoder_base_dim * config.dim_mult.front()),
      post_quant_conv_("post_quant_conv", causal_conv(config.z_dim, config.z_dim, 1), &next_slot_),
      conv_in_("decoder.conv_in", causal_conv(config.z_dim, channels_, 3), &next_slot_),
      mid_("decoder.mid_block", channels_, &next_slot_),
      stages_(make_stages(config, &next_slot_)),
      norm_out_("decoder.norm_out.gamma", {out_channels_, 1, 1, 1}),
      conv_out_("decoder.conv_out", causal_conv(out_channels_, config.out_channels, 3),
                &next_slot_) {}

void Decoder::declare(ParameterSink& sink) {
  post_quant_conv_.declare(sink);
  conv_in_.declare(sink);
  mid_.declare(sink);
  for (Stage& stage : stages_) stage.declare(sink);
  norm_out_.declare(sink);
  conv_out_.declare(sink);
}

Feature Decoder::from_latent(const Feature& latent, Pass& pass) const {
  Feature hidden{post_quant_conv_.run_on(latent, pass), latent.window};
  pass.observe("post_quant_conv", hidden.values);
  hidden.values = conv_in_.run_on(hidden, pass);
  pass.observe("decoder.conv_in", hidden.values);
  return mid_.forward(hidden, pass);
}

Feature Decoder::up(Feature features, Pass& pass) const {
  Feature hidden = std::move(features);
  for (const Stage& stage : stages_) hidden = stage.forward(std::move(hidden), pass);
  if (pass.observes()) {
    Tensor normed = pass.context().activations(hidden.values.shape());
    norm_out_.run(hidden.values, normed, false, pass);
    pass.observe("decoder.norm_out", normed);
  }
  Feature patches{normalized_conv(norm_out_, conv_out_, hidden, pass), hidden.window};
  hidden = Feature();
  pass.observe("decoder.conv_out", patches.values);
  const Window valid = patches.window.shrunk(1);
  return crop(std::move(patches), valid, pass.context());
}

int64_t Decoder::halo() const {
  int64_t margin = 1;  // conv_out
  for (size_t i = stages_.size(); i-- > 0;) {
    if (stages_[i].resamples()) margin = ceil_div(margin + 1, 2);
    margin += stages_[i].resnet_halo();
  }
  return margin;
}

int64_t Decoder::bytes() const {
  int64_t total = post_quant_conv_.bytes() + conv_in_.bytes() + mid_.bytes() + norm_out_.bytes() +
                  conv_out_.bytes();
  for (const Stage& stage : stages_) total += stage.bytes();
  return total;
}

}  // namespace mxvideo::models::wan_vae
