#include "models/wan_vae/encoder.h"

#include <string>
#include <utility>

#include "kernels/layout/copy_nd.h"

namespace mxvideo::models::wan_vae {
namespace {

std::vector<Stage> make_stages(const WanVaeConfig& config, int* next_slot) {
  std::vector<Stage> stages;
  const size_t count = config.dim_mult.size();
  int64_t in = config.base_dim;
  int64_t flat_index = 0;  // 2.1 numbers residual blocks and resamplers in one list
  for (size_t i = 0; i < count; ++i) {
    const int64_t out = config.base_dim * config.dim_mult[i];
    const std::string block = "encoder.down_blocks." + std::to_string(i);
    const auto flat_name = [&] { return "encoder.down_blocks." + std::to_string(flat_index++); };
    const bool resamples = i + 1 < count;
    const bool temporal = resamples && config.temporal_downsample[i];
    Stage stage(config.is_residual ? block : std::string{});
    if (config.is_residual) {
      stage.set_shortcut(
          {.up = false, .factors = {.time = temporal ? 2 : 1, .space = resamples ? 2 : 1}});
    }
    for (int64_t j = 0; j < config.num_res_blocks; ++j) {
      stage.add(
          ResidualBlock(config.is_residual ? block + ".resnets." + std::to_string(j) : flat_name(),
                        j == 0 ? in : out, out, next_slot));
    }
    if (resamples) {
      stage.set_resample(Resample(
          config.is_residual ? block + ".downsampler" : flat_name(),
          {.channels = out, .out_channels = out, .up = false, .temporal = temporal}, next_slot));
    }
    stages.push_back(std::move(stage));
    in = out;
  }
  return stages;
}

}  // namespace

Encoder::Encoder(const WanVaeConfig& config)
    : z_dim_(config.z_dim),
      channels_(config.base_dim * config.dim_mult.back()),
      conv_in_("encoder.conv_in", causal_conv(config.in_channels, config.base_dim, 3), &next_slot_),
      stages_(make_stages(config, &next_slot_)),
      mid_("encoder.mid_block", channels_, &next_slot_),
      norm_out_("encoder.norm_out.gamma", {channels_, 1, 1, 1}),
      conv_out_("encoder.conv_out", causal_conv(channels_, 2 * z_dim_, 3), &next_slot_),
      quant_conv_("quant_conv", causal_conv(2 * z_dim_, 2 * z_dim_, 1), &next_slot_) {}

void Encoder::declare(ParameterSink& sink) {
  conv_in_.declare(sink);
  for (Stage& stage : stages_) stage.declare(sink);
  mid_.declare(sink);
  norm_out_.declare(sink);
  conv_out_.declare(sink);
  quant_conv_.declare(sink);
}

Feature Encoder::down(const Feature& patches, Pass& pass) const {
  Feature hidden{conv_in_.run_on(patches, pass), patches.window};
  pass.observe("encoder.conv_in", hidden.values);
  const Window valid = hidden.window.shrunk(1);
  hidden = crop(std::move(hidden), valid, pass.context());
  for (const Stage& stage : stages_) hidden = stage.forward(std::move(hidden), pass);
  return hidden;
}

Tensor Encoder::to_latent(const Feature& features, Pass& pass) const {
  Feature hidden = mid_.forward(features, pass);
  if (pass.observes()) {
    Tensor normed = pass.context().activations(hidden.values.shape());
    norm_out_.run(hidden.values, normed, false, pass);
    pass.observe("encoder.norm_out", normed);
  }
  hidden.values = normalized_conv(norm_out_, conv_out_, hidden, pass);
  pass.observe("encoder.conv_out", hidden.values);
  const Tensor moments = quant_conv_.run_on(hidden, pass);
  // The mode of the posterior is its mean, the first half of the channels.
  Tensor mode = pass.context().activations(
      {hidden.frames(), hidden.window.height(), hidden.window.width(), z_dim_});
  kernels::copy_nd({.x = moments,
                    .y = mode,
                    .axes = {{{mode.count() / z_dim_, 2 * z_dim_, z_dim_}, {z_dim_, 1, 1}}}},
                   pass.context());
  return mode;
}

int64_t Encoder::halo() const {
  int64_t margin = 0;
  for (size_t i = stages_.size(); i-- > 0;) {
    // Output row i of a resampler reads rows 2i to 2i + 2.
    if (stages_[i].resamples()) margin = 2 * margin + 2;
    margin += stages_[i].resnet_halo();
  }
  return margin + 1;  // conv_in
}

int64_t Encoder::bytes() const {
  int64_t total =
      conv_in_.bytes() + mid_.bytes() + norm_out_.bytes() + conv_out_.bytes() + quant_conv_.bytes();
  for (const Stage& stage : stages_) total += stage.bytes();
  return total;
}

}  // namespace mxvideo::models::wan_vae
