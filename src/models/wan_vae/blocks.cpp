#include "models/wan_vae/blocks.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/layout/fill.h"
#include "kernels/matmul/matmul.h"
#include "kernels/rms_norm/rms_norm.h"

namespace mxvideo::models::wan_vae {
namespace {

constexpr float kNormEpsilon = 1e-12f;

void add_in_place(const Tensor& x, Tensor& y, Pass& pass) {
  kernels::elementwise(
      {.op = kernels::ElementwiseOp::kAdd, .x = y, .z = x, .y = y, .count = y.count()},
      pass.context());
}

}  // namespace

void Pass::observe(const std::string& name, const Tensor& value) const {
  if (!observes()) return;
  run_->observe("chunk" + std::to_string(chunk_) + "." + name, value);
}

bool Pass::has_history(int slot) const {
  const auto index = static_cast<size_t>(slot);
  return index < history_.size() && !history_[index].empty();
}

void Pass::load_history(int slot, DevicePtr<float> frames, int64_t count) const {
  const Tensor& history = history_[static_cast<size_t>(slot)];
  check(history.count() == count, "wan_vae: the window changed between chunks");
  copy(history, frames, count, context());
}

void Pass::save_history(int slot, const Tensor& x, int64_t frames) {
  const auto index = static_cast<size_t>(slot);
  if (index >= history_.size()) history_.resize(index + 1);
  const int64_t frame_floats = x.count() / x.dim(0);
  const int64_t kept = std::min(frames, x.dim(0));
  Tensor& history = history_[index];
  if (history.empty()) history = context().activations({frames * frame_floats});
  const int64_t zeros = (frames - kept) * frame_floats;
  if (zeros > 0) kernels::fill({.y = history, .width = zeros}, context());
  const int64_t values = kept * frame_floats;
  copy(x.from(x.count() - values), history.from(zeros), values, context());
}

void ParameterSink::tensor(const std::string& name, const Shape& shape, Tensor* destination) {
  if (used_) {
    loader_->add_f32(name, shape, destination);
  } else {
    loader_->add_unused({{.name = name, .shape = shape, .dtypes = {}}});
  }
}

void ParameterSink::conv(const std::string& name, const kernels::Conv3dShape& shape, bool is_2d,
                         std::optional<kernels::Conv3d>* destination) {
  const Shape weight =
      is_2d ? Shape{shape.out_channels, shape.in_channels, shape.kernel_h, shape.kernel_w}
            : Shape{shape.out_channels, shape.in_channels, shape.kernel_t, shape.kernel_h,
                    shape.kernel_w};
  std::vector<checkpoint::ParameterSpec> specs{
      {.name = name + ".weight", .shape = weight, .dtypes = {}},
      {.name = name + ".bias", .shape = {shape.out_channels}, .dtypes = {}}};
  if (!used_) {
    loader_->add_unused(std::move(specs));
    return;
  }
  loader_->add_group(
      std::move(specs), [shape, destination](std::span<const checkpoint::StoredTensor> tensors,
                                             kernels::Context& context) {
        destination->emplace(shape, tensors[0].view, tensors[1].view, context.device());
      });
}

ConvOptions causal_conv(int64_t in, int64_t out, int64_t kernel) {
  const int64_t pad = kernel / 2;
  return {.shape = {.in_channels = in,
                    .out_channels = out,
                    .kernel_t = kernel,
                    .kernel_h = kernel,
                    .kernel_w = kernel,
                    .pad_top = pad,
                    .pad_bottom = pad,
                    .pad_left = pad,
                    .pad_right = pad},
          .history_frames = kernel - 1};
}

ConvLayer::ConvLayer(std::string name, const ConvOptions& options, int* next_slot)
    : name_(std::move(name)),
      options_(options),
      slot_(options.history_frames > 0 ? (*next_slot)++ : -1) {}

void ConvLayer::declare(ParameterSink& sink) {
  sink.conv(name_, options_.shape, options_.is_2d, &conv_);
}

Tensor ConvLayer::buffer(const Feature& like, const Pass& pass) const {
  const int64_t history = remembered_frames(pass);
  Tensor result = pass.context().activations({history + like.frames(), like.window.height(),
                                              like.window.width(), options_.shape.in_channels});
  if (history > 0) {
    pass.load_history(slot_, result, result.count() / result.dim(0) * history);
  }
  return result;
}

DevicePtr<float> ConvLayer::frames_of(Tensor& buffer, const Pass& pass) const {
  return buffer.from(buffer.count() / buffer.dim(0) * remembered_frames(pass));
}

Tensor ConvLayer::run(Tensor buffer, Pass& pass) const {
  check(conv_.has_value(), "wan_vae: " + name_ + " has no weights");
  const int64_t zeros = options_.history_frames - remembered_frames(pass);
  if (options_.history_frames > 0) pass.save_history(slot_, buffer, options_.history_frames);
  return conv_->run(buffer, pass.context(), zeros);
}

Tensor ConvLayer::run_on(const Feature& x, Pass& pass) const {
  check(conv_.has_value(), "wan_vae: " + name_ + " has no weights");
  if (options_.history_frames == 0) return conv_->run(x.values, pass.context());
  Tensor input = buffer(x, pass);
  copy(x.values, frames_of(input, pass), x.values.count(), pass.context());
  return run(std::move(input), pass);
}

void ConvLayer::remember(const Feature& x, Pass& pass) const {
  pass.save_history(slot_, x.values, options_.history_frames);
}

void ConvLayer::run_frame(const Tensor& x, const kernels::VideoExtent& extent, DevicePtr<float> y,
                          Pass& pass) const {
  check(conv_.has_value(), "wan_vae: " + name_ + " has no weights");
  conv_->run(x, extent, y, pass.context());
}

void NormLayer::run(const Tensor& x, DevicePtr<float> y, bool silu, Pass& pass) const {
  const int64_t channels = shape_[0];
  kernels::rms_norm({.x = x,
                     .y = y,
                     .rows = x.count() / channels,
                     .dim = channels,
                     .epsilon = kNormEpsilon,
                     .weight = gamma_,
                     .kind = kernels::RmsNormKind::kL2,
                     .silu = silu},
                    pass.context());
}

Tensor normalized_conv(const NormLayer& norm, const ConvLayer& conv, const Feature& x, Pass& pass) {
  Tensor input = conv.buffer(x, pass);
  norm.run(x.values, conv.frames_of(input, pass), true, pass);
  return conv.run(std::move(input), pass);
}

ResidualBlock::ResidualBlock(std::string name, int64_t in, int64_t out, int* next_slot)
    : name_(std::move(name)),
      norm1_(name_ + ".norm1.gamma", {in, 1, 1, 1}),
      conv1_(name_ + ".conv1", causal_conv(in, out, 3), next_slot),
      norm2_(name_ + ".norm2.gamma", {out, 1, 1, 1}),
      conv2_(name_ + ".conv2", causal_conv(out, out, 3), next_slot) {
  if (in != out) shortcut_.emplace(name_ + ".conv_shortcut", causal_conv(in, out, 1), next_slot);
}

void ResidualBlock::declare(ParameterSink& sink) {
  norm1_.declare(sink);
  conv1_.declare(sink);
  norm2_.declare(sink);
  conv2_.declare(sink);
  if (shortcut_) shortcut_->declare(sink);
}

Feature ResidualBlock::forward(const Feature& x, Pass& pass) const {
  Feature hidden{normalized_conv(norm1_, conv1_, x, pass), x.window};
  Tensor input = conv2_.buffer(hidden, pass);
  norm2_.run(hidden.values, conv2_.frames_of(input, pass), true, pass);
  hidden.values = Tensor();
  hidden.values = conv2_.run(std::move(input), pass);
  if (shortcut_) {
    add_in_place(shortcut_->run_on(x, pass), hidden.values, pass);
  } else {
    add_in_place(x.values, hidden.values, pass);
  }
  const Window valid = hidden.window.shrunk(kHalo);
  return crop(std::move(hidden), valid, pass.context());
}

int64_t ResidualBlock::bytes() const {
  return norm1_.bytes() + conv1_.bytes() + norm2_.bytes() + conv2_.bytes() +
         (shortcut_ ? shortcut_->bytes() : 0);
}

AttentionBlock::AttentionBlock(std::string name, int64_t channels)
    : name_(std::move(name)), channels_(channels), norm_(name_ + ".norm.gamma", {channels, 1, 1}) {}

void AttentionBlock::declare(ParameterSink& sink) {
  norm_.declare(sink);
  sink.tensor(name_ + ".to_qkv.weight", {3 * channels_, channels_, 1, 1}, &qkv_weight_);
  sink.tensor(name_ + ".to_qkv.bias", {3 * channels_}, &qkv_bias_);
  sink.tensor(name_ + ".proj.weight", {channels_, channels_, 1, 1}, &proj_weight_);
  sink.tensor(name_ + ".proj.bias", {channels_}, &proj_bias_);
}

Feature AttentionBlock::forward(const Feature& x, Pass& pass) const {
  const int64_t positions = x.window.height() * x.window.width();
  kernels::Context& context = pass.context();
  Tensor normed = context.activations(x.values.shape());
  norm_.run(x.values, normed, false, pass);
  Tensor qkv = context.activations({positions, 3 * channels_});
  Tensor result = context.activations(x.values.shape());
  for (int64_t frame = 0; frame < x.frames(); ++frame) {
    const int64_t offset = frame * positions * channels_;
    kernels::matmul({.x = normed.from(offset),
                     .weight = qkv_weight_,
                     .y = qkv,
                     .m = positions,
                     .n = 3 * channels_,
                     .k = channels_,
                     .epilogue = {.bias = qkv_bias_}},
                    context);
    // The attention result takes the place of the normalised input.
    kernels::attention({.q = qkv,
                        .k = qkv.from(channels_),
                        .v = qkv.from(2 * channels_),
                        .out = normed.from(offset),
                        .q_length = positions,
                        .kv_length = positions,
                        .heads = 1,
                        .head_dim = channels_,
                        .q_stride = 3 * channels_,
                        .kv_stride = 3 * channels_,
                        .scale = 1.0f / std::sqrt(static_cast<float>(channels_))},
                       context);
    kernels::matmul({.x = normed.from(offset),
                     .weight = proj_weight_,
                     .y = result.from(offset),
                     .m = positions,
                     .n = channels_,
                     .k = channels_,
                     .epilogue = {.kind = kernels::Epilogue::kGatedResidual,
                                  .bias = proj_bias_,
                                  .residual = x.values.from(offset)}},
                    context);
  }
  return {std::move(result), x.window};
}

int64_t AttentionBlock::bytes() const {
  return norm_.bytes() + qkv_weight_.bytes() + qkv_bias_.bytes() + proj_weight_.bytes() +
         proj_bias_.bytes();
}

MidBlock::MidBlock(const std::string& name, int64_t channels, int* next_slot)
    : name_(name),
      first_(name + ".resnets.0", channels, channels, next_slot),
      attention_(name + ".attentions.0", channels),
      second_(name + ".resnets.1", channels, channels, next_slot) {}

void MidBlock::declare(ParameterSink& sink) {
  first_.declare(sink);
  attention_.declare(sink);
  second_.declare(sink);
}

Feature MidBlock::forward(const Feature& x, Pass& pass) const {
  check(x.window == Window::whole(x.window.frame_height, x.window.frame_width),
        "wan_vae: the middle block needs whole frames");
  Feature hidden = first_.forward(x, pass);
  pass.observe(first_.name(), hidden.values);
  hidden = attention_.forward(hidden, pass);
  pass.observe(attention_.name(), hidden.values);
  hidden = second_.forward(hidden, pass);
  pass.observe(name_, hidden.values);
  return hidden;
}

int64_t MidBlock::bytes() const { return first_.bytes() + attention_.bytes() + second_.bytes(); }

}  // namespace mxvideo::models::wan_vae
