// The memory of every layer's forward(), line by line as it allocates and frees there. Tests
// compare the peak with that of real runs, byte by byte.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/rms_norm/rms_norm.h"
#include "models/wan_vae/decoder.h"
#include "models/wan_vae/encoder.h"

namespace mxvideo::models::wan_vae {

bool PlannedPass::has_history(int slot) const {
  const auto index = static_cast<size_t>(slot);
  return index < history_.size() && !history_[index].empty();
}

void PlannedPass::save_history(int slot, const Shape& shape, int64_t frames) {
  const auto index = static_cast<size_t>(slot);
  if (index >= history_.size()) history_.resize(index + 1);
  if (history_[index].empty()) history_[index] = tensor({frames * (shape.count() / shape[0])});
}

PlannedFeature plan_crop(PlannedFeature x, const Window& window, const PlannedPass& pass) {
  if (x.window == window) return x;
  return {pass.tensor({x.frames(), window.height(), window.width(), x.channels()}), window};
}

void ConvLayer::plan_load(PlannedWeights& weights) const {
  const auto [entry, inserted] = weights.convs.emplace(this, kernels::Conv3dPlan(options_.shape));
  check(inserted, "wan_vae: a layer is loaded once");
  entry->second.load(*weights.trace);
}

void NormLayer::plan_load(PlannedWeights& weights) const {
  weights.tensors.emplace_back(*weights.trace, shape_);
}

PlannedTensor ConvLayer::plan_conv(const Shape& x, int64_t leading_zeros,
                                   const PlannedPass& pass) const {
  const kernels::VideoExtent extent{
      .t = x[0], .h = x[1], .w = x[2], .leading_zeros = leading_zeros};
  const kernels::VideoExtent out = kernels::conv3d_output(options_.shape, extent);
  PlannedTensor y = pass.tensor({out.t, out.h, out.w, options_.shape.out_channels});
  pass.conv(*this).run(extent, pass.context(), pass.trace());
  return y;
}

PlannedTensor ConvLayer::plan_buffer(const PlannedFeature& like, const PlannedPass& pass) const {
  return pass.tensor({remembered_frames(pass) + like.frames(), like.window.height(),
                      like.window.width(), options_.shape.in_channels});
}

PlannedTensor ConvLayer::plan_run(PlannedTensor buffer, PlannedPass& pass) const {
  const int64_t zeros = options_.history_frames - remembered_frames(pass);
  if (options_.history_frames > 0) {
    pass.save_history(slot_, buffer.shape(), options_.history_frames);
  }
  return plan_conv(buffer.shape(), zeros, pass);
}

PlannedTensor ConvLayer::plan_run_on(const PlannedFeature& x, PlannedPass& pass) const {
  if (options_.history_frames == 0) return plan_conv(x.values.shape(), 0, pass);
  return plan_run(plan_buffer(x, pass), pass);
}

void ConvLayer::plan_remember(const PlannedFeature& x, PlannedPass& pass) const {
  pass.save_history(slot_, x.values.shape(), options_.history_frames);
}

void ConvLayer::plan_run_frame(const kernels::VideoExtent& extent, const PlannedPass& pass) const {
  pass.conv(*this).run(extent, pass.context(), pass.trace());
}

PlannedTensor plan_normalized_conv(const ConvLayer& conv, const PlannedFeature& x,
                                   PlannedPass& pass) {
  return conv.plan_run(conv.plan_buffer(x, pass), pass);
}

void ResidualBlock::plan_load(PlannedWeights& weights) const {
  norm1_.plan_load(weights);
  conv1_.plan_load(weights);
  norm2_.plan_load(weights);
  conv2_.plan_load(weights);
  if (shortcut_) shortcut_->plan_load(weights);
}

PlannedFeature ResidualBlock::plan(const PlannedFeature& x, PlannedPass& pass) const {
  PlannedFeature hidden{plan_normalized_conv(conv1_, x, pass), x.window};
  PlannedTensor input = conv2_.plan_buffer(hidden, pass);
  hidden.values = PlannedTensor();
  hidden.values = conv2_.plan_run(std::move(input), pass);
  if (shortcut_) shortcut_->plan_run_on(x, pass);
  const Window valid = hidden.window.shrunk(kHalo);
  return plan_crop(std::move(hidden), valid, pass);
}

void AttentionBlock::plan_load(PlannedWeights& weights) const {
  norm_.plan_load(weights);
  for (const Shape& shape : {Shape{3 * channels_, channels_}, Shape{3 * channels_},
                             Shape{channels_, channels_}, Shape{channels_}}) {
    weights.tensors.emplace_back(*weights.trace, shape);
  }
}

PlannedFeature AttentionBlock::plan(const PlannedFeature& x, PlannedPass& pass) const {
  const int64_t positions = x.window.height() * x.window.width();
  const PlannedTensor normed = pass.tensor(x.values.shape());
  const PlannedTensor qkv = pass.tensor({positions, 3 * channels_});
  PlannedTensor result = pass.tensor(x.values.shape());
  pass.trace().pass(kernels::matmul_workspace_bytes(positions, 3 * channels_));
  pass.trace().pass(kernels::attention_workspace_bytes(positions, positions, 1, channels_));
  kernels::select("matmul", kernels::matmul_rows(),
                  {.m = positions, .n = 3 * channels_, .k = channels_}, pass.context());
  kernels::select(
      "attention", kernels::attention_rows(),
      {.q_length = positions, .kv_length = positions, .heads = 1, .head_dim = channels_},
      pass.context());
  return {std::move(result), x.window};
}

void MidBlock::plan_load(PlannedWeights& weights) const {
  first_.plan_load(weights);
  attention_.plan_load(weights);
  second_.plan_load(weights);
}

PlannedFeature MidBlock::plan(const PlannedFeature& x, PlannedPass& pass) const {
  PlannedFeature hidden = first_.plan(x, pass);
  hidden = attention_.plan(hidden, pass);
  hidden = second_.plan(hidden, pass);
  return hidden;
}

void Resample::plan_load(PlannedWeights& weights) const {
  spatial_.plan_load(weights);
  if (temporal_) temporal_->plan_load(weights);
}

PlannedFeature Resample::plan(const PlannedFeature& x, PlannedPass& pass) const {
  return options_.up ? plan_upsample(x, pass) : plan_downsample(x, pass);
}

PlannedFeature Resample::plan_upsample(const PlannedFeature& x, PlannedPass& pass) const {
  const bool doubles = temporal_ && pass.chunk() > 0;
  PlannedTensor doubled;
  if (doubles) doubled = temporal_->plan_run_on(x, pass);
  const int64_t frames = x.frames() * (doubles ? 2 : 1);
  PlannedFeature result;
  result.window = x.window.scaled_up(2);
  const int64_t height = result.window.height();
  const int64_t width = result.window.width();
  result.values = pass.tensor({frames, height, width, options_.out_channels});
  PlannedTensor enlarged = pass.tensor({height, width, options_.channels});
  spatial_.plan_run_frame({.t = 1, .h = height, .w = width}, pass);
  enlarged = PlannedTensor();
  const Window valid = result.window.shrunk(1);
  return plan_crop(std::move(result), valid, pass);
}

PlannedFeature Resample::plan_downsample(const PlannedFeature& x, PlannedPass& pass) const {
  const Window halved = x.window.scaled_down(2);
  const Window even = halved.scaled_up(2);
  PlannedFeature result;
  if (even == x.window) {
    result = {spatial_.plan_run_on(x, pass), halved};
  } else {
    const PlannedFeature input{pass.tensor({x.frames(), even.height(), even.width(), x.channels()}),
                               even};
    result = {spatial_.plan_run_on(input, pass), halved};
  }
  Window valid = halved;
  if (valid.bottom < valid.frame_height) --valid.bottom;
  if (valid.right < valid.frame_width) --valid.right;
  check(valid.height() > 0 && valid.width() > 0, "wan_vae: a tile is smaller than its halo");
  result = plan_crop(std::move(result), valid, pass);
  if (!temporal_) return result;
  if (pass.chunk() == 0) {
    temporal_->plan_remember(result, pass);
    return result;
  }
  return {temporal_->plan_run_on(result, pass), valid};
}

void Stage::plan_load(PlannedWeights& weights) const {
  for (const ResidualBlock& block : resnets_) block.plan_load(weights);
  if (resample_) resample_->plan_load(weights);
}

PlannedFeature Stage::plan(PlannedFeature x, PlannedPass& pass) const {
  PlannedFeature hidden;
  const PlannedFeature* input = &x;
  for (const ResidualBlock& block : resnets_) {
    hidden = block.plan(*input, pass);
    if (!shortcut_) x = PlannedFeature();
    input = &hidden;
  }
  if (resample_) hidden = resample_->plan(*input, pass);
  return hidden;
}

void Decoder::plan_load(PlannedWeights& weights) const {
  post_quant_conv_.plan_load(weights);
  conv_in_.plan_load(weights);
  mid_.plan_load(weights);
  for (const Stage& stage : stages_) stage.plan_load(weights);
  norm_out_.plan_load(weights);
  conv_out_.plan_load(weights);
}

PlannedFeature Decoder::plan_from_latent(const PlannedFeature& latent, PlannedPass& pass) const {
  PlannedFeature hidden{post_quant_conv_.plan_run_on(latent, pass), latent.window};
  hidden.values = conv_in_.plan_run_on(hidden, pass);
  return mid_.plan(hidden, pass);
}

PlannedFeature Decoder::plan_up(PlannedFeature features, PlannedPass& pass) const {
  PlannedFeature hidden = std::move(features);
  for (const Stage& stage : stages_) hidden = stage.plan(std::move(hidden), pass);
  PlannedFeature patches{plan_normalized_conv(conv_out_, hidden, pass), hidden.window};
  hidden = PlannedFeature();
  const Window valid = patches.window.shrunk(1);
  return plan_crop(std::move(patches), valid, pass);
}

void Encoder::plan_load(PlannedWeights& weights) const {
  conv_in_.plan_load(weights);
  for (const Stage& stage : stages_) stage.plan_load(weights);
  mid_.plan_load(weights);
  norm_out_.plan_load(weights);
  conv_out_.plan_load(weights);
  quant_conv_.plan_load(weights);
}

PlannedFeature Encoder::plan_down(const PlannedFeature& patches, PlannedPass& pass) const {
  PlannedFeature hidden{conv_in_.plan_run_on(patches, pass), patches.window};
  const Window valid = hidden.window.shrunk(1);
  hidden = plan_crop(std::move(hidden), valid, pass);
  for (const Stage& stage : stages_) hidden = stage.plan(std::move(hidden), pass);
  return hidden;
}

PlannedTensor Encoder::plan_to_latent(const PlannedFeature& features, PlannedPass& pass) const {
  PlannedFeature hidden = mid_.plan(features, pass);
  hidden.values = plan_normalized_conv(conv_out_, hidden, pass);
  const PlannedTensor moments = quant_conv_.plan_run_on(hidden, pass);
  return pass.tensor({hidden.frames(), hidden.window.height(), hidden.window.width(), z_dim_});
}

}  // namespace mxvideo::models::wan_vae
