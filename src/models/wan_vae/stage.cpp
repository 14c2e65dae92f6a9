// Resamplers and stages.
#include <utility>

#include "models/wan_vae/blocks.h"

namespace mxvideo::models::wan_vae {
namespace {

ConvOptions spatial_conv(const ResampleOptions& options) {
  kernels::Conv3dShape shape{.in_channels = options.channels,
                             .out_channels = options.out_channels,
                             .kernel_h = 3,
                             .kernel_w = 3,
                             .pad_bottom = 1,
                             .pad_right = 1};
  if (options.up) {
    shape.pad_top = 1;
    shape.pad_left = 1;
  } else {
    shape.stride_h = 2;
    shape.stride_w = 2;
  }
  return {.shape = shape, .is_2d = true};
}

// Up: two frames before and one of the chunk give twice the channels, later two frames. Down: one
// frame before and two of the chunk give one.
ConvOptions temporal_conv(const ResampleOptions& options) {
  return {.shape = {.in_channels = options.channels,
                    .out_channels = options.channels * (options.up ? 2 : 1),
                    .kernel_t = 3,
                    .stride_t = options.up ? 1 : 2},
          .history_frames = options.up ? 2 : 1};
}

}  // namespace

Resample::Resample(std::string name, const ResampleOptions& options, int* next_slot)
    : name_(std::move(name)),
      options_(options),
      spatial_(name_ + ".resample.1", spatial_conv(options), next_slot) {
  if (options.temporal) {
    // The downsampler's temporal convolution comes after the spatial one.
    ResampleOptions inner = options;
    if (!options.up) inner.channels = options.out_channels;
    temporal_.emplace(name_ + ".time_conv", temporal_conv(inner), next_slot);
  }
}

void Resample::declare(ParameterSink& sink) {
  spatial_.declare(sink);
  if (temporal_) temporal_->declare(sink);
}

Feature Resample::forward(const Feature& x, Pass& pass) const {
  return options_.up ? upsample(x, pass) : downsample(x, pass);
}

Feature Resample::upsample(const Feature& x, Pass& pass) const {
  // The first chunk is one frame, which stays one and is no history for the second.
  const bool doubles = temporal_ && pass.chunk() > 0;
  Tensor doubled;
  if (doubles) doubled = temporal_->run_on(x, pass);
  const int64_t copies = doubles ? 2 : 1;
  const int64_t frames = x.frames() * copies;

  Feature result;
  result.window = x.window.scaled_up(2);
  const int64_t height = result.window.height();
  const int64_t width = result.window.width();
  kernels::Context& context = pass.context();
  result.values = context.activations({frames, height, width, options_.out_channels});
  // Frame by frame: the upsampled input is the largest tensor of the whole decoder.
  Tensor enlarged = context.activations({height, width, options_.channels});
  for (int64_t frame = 0; frame < frames; ++frame) {
    upsample_nearest({.x = doubles ? doubled : x.values,
                      .y = enlarged,
                      .height = x.window.height(),
                      .width = x.window.width(),
                      .channels = options_.channels,
                      .copies = copies,
                      .frame = frame},
                     context);
    spatial_.run_frame(enlarged, {.t = 1, .h = height, .w = width},
                       result.values.from(frame * result.frame_floats()), pass);
  }
  enlarged = Tensor();
  const Window valid = result.window.shrunk(1);
  return crop(std::move(result), valid, context);
}

Feature Resample::downsample(const Feature& x, Pass& pass) const {
  // Strides start at even rows and columns of the frame.
  const Window halved = x.window.scaled_down(2);
  const Window even = halved.scaled_up(2);
  Feature result;
  if (even == x.window) {
    result = {spatial_.run_on(x, pass), halved};
  } else {
    result = {spatial_.run_on(take(x, 0, x.frames(), even, pass.context()), pass), halved};
  }
  // The last row and column read one beyond the window.
  Window valid = halved;
  if (valid.bottom < valid.frame_height) --valid.bottom;
  if (valid.right < valid.frame_width) --valid.right;
  check(valid.height() > 0 && valid.width() > 0, "wan_vae: a tile is smaller than its halo");
  result = crop(std::move(result), valid, pass.context());
  if (!temporal_) return result;
  if (pass.chunk() == 0) {
    temporal_->remember(result, pass);
    return result;
  }
  return {temporal_->run_on(result, pass), valid};
}

int64_t Resample::bytes() const { return spatial_.bytes() + (temporal_ ? temporal_->bytes() : 0); }

void Stage::declare(ParameterSink& sink) {
  for (ResidualBlock& block : resnets_) block.declare(sink);
  if (resample_) resample_->declare(sink);
}

Feature Stage::forward(Feature x, Pass& pass) const {
  Feature hidden;
  const Feature* input = &x;
  for (const ResidualBlock& block : resnets_) {
    hidden = block.forward(*input, pass);
    if (name_.empty()) pass.observe(block.name(), hidden.values);
    if (!shortcut_) x = Feature();
    input = &hidden;
  }
  if (resample_) {
    hidden = resample_->forward(*input, pass);
    if (name_.empty()) pass.observe(resample_->name(), hidden.values);
  }
  if (shortcut_) {
    add_fold(shortcut_->up ? kernels::FoldOp::kDuplicateUp : kernels::FoldOp::kAverageDown, x,
             shortcut_->factors, hidden, pass.context());
  }
  if (!name_.empty()) pass.observe(name_, hidden.values);
  return hidden;
}

int64_t Stage::resnet_halo() const {
  return ResidualBlock::kHalo * static_cast<int64_t>(resnets_.size());
}

int64_t Stage::bytes() const {
  int64_t total = resample_ ? resample_->bytes() : 0;
  for (const ResidualBlock& block : resnets_) total += block.bytes();
  return total;
}

}  // namespace mxvideo::models::wan_vae
