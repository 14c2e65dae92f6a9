// The layers of the VAE on Features. Parameter names are those of Diffusers; each layer declares
// its own. What causal layers remember between chunks lives in a Pass, never in the layer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/parameter_loader.h"
#include "kernels/conv3d/conv3d.h"
#include "models/wan_vae/feature.h"
#include "models/wan_vae/wan_vae.h"

namespace mxvideo::models::wan_vae {

// One run over the chunks of one window, in order.
class Pass {
 public:
  explicit Pass(const WanVaeRun& run, bool observed = true) : run_(&run), observed_(observed) {}

  kernels::Context& context() const { return *run_->context; }
  int64_t chunk() const { return chunk_; }
  void start_chunk(int64_t chunk) { chunk_ = chunk; }
  bool observes() const { return observed_ && run_->observe; }
  // `name` as in the checkpoint, without the chunk.
  void observe(const std::string& name, const Tensor& value) const;

  // Frames that a causal convolution remembers from the chunks before, by its slot. Before the
  // first chunk there are none, which stands for zeros.
  bool has_history(int slot) const;
  void load_history(int slot, DevicePtr<float> frames, int64_t count) const;
  // Keeps the last `frames` frames of `x` [t, …], with zeros in front when it has fewer.
  void save_history(int slot, const Tensor& x, int64_t frames);

 private:
  const WanVaeRun* run_;
  bool observed_;
  int64_t chunk_ = 0;
  std::vector<Tensor> history_;  // by slot
};

// Declares parameters of a half that is used, or only their names and shapes.
class ParameterSink {
 public:
  ParameterSink(checkpoint::ParameterLoader& loader, bool used) : loader_(&loader), used_(used) {}
  void tensor(const std::string& name, const Shape& shape, Tensor* destination);
  void conv(const std::string& name, const kernels::Conv3dShape& shape, bool is_2d,
            std::optional<kernels::Conv3d>* destination);

 private:
  checkpoint::ParameterLoader* loader_;
  bool used_;
};

struct ConvOptions {
  kernels::Conv3dShape shape;
  bool is_2d = false;          // the checkpoint holds [out, in, kh, kw]
  int64_t history_frames = 0;  // leading frames that come from the chunk before
};

// Options of the 3x3x3 and 1x1x1 convolutions; causal in time, zero-padded in space.
ConvOptions causal_conv(int64_t in, int64_t out, int64_t kernel);

// A convolution and, for causal ones, the place of its history.
class ConvLayer {
 public:
  ConvLayer(std::string name, const ConvOptions& options, int* next_slot);
  void declare(ParameterSink& sink);

  // [frames, h, w, in], with the frames of the history in front and filled in if there is one.
  Tensor buffer(const Feature& like, const Pass& pass) const;
  // Where the caller writes the frames of this chunk.
  DevicePtr<float> frames_of(Tensor& buffer, const Pass& pass) const;
  // Convolves a buffer, then frees it; its last frames become the history.
  Tensor run(Tensor buffer, Pass& pass) const;
  // Copies `x` to a buffer and runs it; without history no copy is made.
  Tensor run_on(const Feature& x, Pass& pass) const;
  // Makes the last frames of `x` the history without convolving them.
  void remember(const Feature& x, Pass& pass) const;
  // Single frames, without history.
  void run_frame(const Tensor& x, const kernels::VideoExtent& extent, DevicePtr<float> y,
                 Pass& pass) const;
  int64_t bytes() const { return conv_ ? conv_->bytes() : 0; }
  int64_t out_channels() const { return options_.shape.out_channels; }

 private:
  int64_t remembered_frames(const Pass& pass) const {
    return options_.history_frames > 0 && pass.has_history(slot_) ? options_.history_frames : 0;
  }

  std::string name_;
  ConvOptions options_;
  int slot_;
  std::optional<kernels::Conv3d> conv_;
};

// y = x / ‖x‖ · √channels · gamma, then SiLU when asked for.
class NormLayer {
 public:
  NormLayer(std::string name, const Shape& shape) : name_(std::move(name)), shape_(shape) {}
  void declare(ParameterSink& sink) { sink.tensor(name_, shape_, &gamma_); }
  void run(const Tensor& x, DevicePtr<float> y, bool silu, Pass& pass) const;
  int64_t bytes() const { return gamma_.bytes(); }

 private:
  std::string name_;
  Shape shape_;
  Tensor gamma_;
};

// Norm, SiLU, convolution; the convolution's input goes straight into its buffer.
Tensor normalized_conv(const NormLayer& norm, const ConvLayer& conv, const Feature& x, Pass& pass);

class ResidualBlock {
 public:
  static constexpr int64_t kHalo = 2;  // rows and columns lost at a side inside the frame

  ResidualBlock(std::string name, int64_t in, int64_t out, int* next_slot);
  void declare(ParameterSink& sink);
  Feature forward(const Feature& x, Pass& pass) const;
  const std::string& name() const { return name_; }
  int64_t bytes() const;

 private:
  std::string name_;
  NormLayer norm1_;
  ConvLayer conv1_;
  NormLayer norm2_;
  ConvLayer conv2_;
  std::optional<ConvLayer> shortcut_;
};

// Single-head attention over the positions of each frame.
class AttentionBlock {
 public:
  AttentionBlock(std::string name, int64_t channels);
  void declare(ParameterSink& sink);
  Feature forward(const Feature& x, Pass& pass) const;
  const std::string& name() const { return name_; }
  int64_t bytes() const;

 private:
  std::string name_;
  int64_t channels_;
  NormLayer norm_;
  Tensor qkv_weight_, qkv_bias_, proj_weight_, proj_bias_;
};

// Residual block, attention, residual block. Needs the whole frame.
class MidBlock {
 public:
  MidBlock(const std::string& name, int64_t channels, int* next_slot);
  void declare(ParameterSink& sink);
  Feature forward(const Feature& x, Pass& pass) const;
  int64_t bytes() const;

 private:
  std::string name_;
  ResidualBlock first_;
  AttentionBlock attention_;
  ResidualBlock second_;
};

struct ResampleOptions {
  int64_t channels = 0;
  int64_t out_channels = 0;
  bool up = false;
  bool temporal = false;
};

// Halves or doubles height and width and, when temporal, the number of frames. The first chunk
// keeps its one frame.
class Resample {
 public:
  Resample(std::string name, const ResampleOptions& options, int* next_slot);
  void declare(ParameterSink& sink);
  Feature forward(const Feature& x, Pass& pass) const;
  const std::string& name() const { return name_; }
  int64_t bytes() const;

 private:
  Feature upsample(const Feature& x, Pass& pass) const;
  Feature downsample(const Feature& x, Pass& pass) const;

  std::string name_;
  ResampleOptions options_;
  ConvLayer spatial_;
  std::optional<ConvLayer> temporal_;
};

struct StageShortcut {
  bool up = false;
  FoldFactors factors;
};

// Residual blocks, then a resampler, around them the shortcut of the 2.2 blocks; each but the
// first optional.
class Stage {
 public:
  // Without a name, as in the 2.1 encoder, the parts are observed one by one.
  explicit Stage(std::string name = {}) : name_(std::move(name)) {}
  void add(ResidualBlock block) { resnets_.push_back(std::move(block)); }
  void set_resample(Resample resample) { resample_.emplace(std::move(resample)); }
  void set_shortcut(const StageShortcut& shortcut) { shortcut_ = shortcut; }

  void declare(ParameterSink& sink);
  Feature forward(Feature x, Pass& pass) const;
  bool resamples() const { return resample_.has_value(); }
  // Rows and columns of the input lost to its residual blocks.
  int64_t resnet_halo() const;
  int64_t bytes() const;

 private:
  std::string name_;
  std::vector<ResidualBlock> resnets_;
  std::optional<Resample> resample_;
  std::optional<StageShortcut> shortcut_;
};

}  // namespace mxvideo::models::wan_vae
