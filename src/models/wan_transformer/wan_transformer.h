// The Wan2.2 diffusion transformer: T2V-A14B, I2V-A14B and TI2V-5B, every size from the config.
// Source: diffusers WanTransformer3DModel (Wan-Video/Wan2.2 wan/modules/model.py).
//
// Activations are fp32 tensors of the context's device, as inputs and results are. Tokens are the
// patches of the latent in t, h, w order. Immutable after loading; forward() is thread-compatible
// with separate workspaces and contexts.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "checkpoint/parameter_loader.h"
#include "kernels/common/context.h"
#include "quantization/quantization_config.h"
#include "tensor/tensor.h"

namespace mxvideo::models {

struct WanTransformerConfig {
  int64_t in_channels = 0, out_channels = 0;
  int64_t num_heads = 0, head_dim = 0, num_layers = 0, ffn_dim = 0;
  int64_t text_dim = 0, freq_dim = 256;
  std::array<int64_t, 3> patch_size = {1, 2, 2};  // t, h, w
  int64_t rope_max_seq_len = 1024;
  float eps = 1e-6f;

  int64_t dim() const { return num_heads * head_dim; }
  // From transformer/config.json in the words of Diffusers. Throws
  // Code::kCorruptFile on missing or senseless values and Code::kUnsupported on features that
  // Wan2.2 does not have (image cross-attention, other qk norms).
  static WanTransformerConfig from_json(const nlohmann::json& json, const std::string& origin);
};

// Called with the name and values of intermediates: goldens compare them, and the numerics guard
// finds the first one that is not finite. Names, in order: "text.embedding" of encode_text();
// "time.temb", "time.timestep_proj", "blocks.input", then for block N "blockN.norm1_modulated",
// "blockN.attn1.to_q" … "blockN.after_attn1", "blockN.norm2", "blockN.after_attn2",
// "blockN.norm3_modulated", "blockN.ffn.gelu", "blockN.output", last "head.modulated" and
// "head.proj_out". Values are [rows, features].
using Probe = std::function<void(const std::string& name, const Tensor& value)>;

struct WanTextInput {
  const Tensor* text = nullptr;  // [tokens, text_dim], without padding
  int64_t rows = 512;            // that the model attends to: those behind the tokens are zero
  const CancellationToken* cancellation = nullptr;  // optional; looked at before each block
  const Probe* probe = nullptr;                     // optional
};

// A prompt as the cross-attentions of one transformer see it, the same in every step. The rows of
// padding, which are all alike, are held once.
struct WanTextContext {
  struct Block {
    Tensor k, v;  // [tokens and one of padding, dim]; k is normed
  };
  int64_t rows = 0;  // of the text
  std::vector<Block> blocks;

  int64_t bytes() const;
};

struct WanTransformerInput {
  const Tensor* latents = nullptr;  // [in_channels, frames, height, width]
  // Distinct timesteps, and for each token which of them it has (empty: all have the first).
  // TI2V-5B conditions on an image with two: 0 for the tokens of the first frame.
  std::vector<float> timesteps;
  std::vector<int32_t> token_timestep;              // [tokens] index into timesteps
  std::vector<const WanTextContext*> texts;         // each gets a velocity
  const CancellationToken* cancellation = nullptr;  // optional; looked at before each block
  const Probe* probe = nullptr;                     // optional
  // Optional: after each block of each text.
  std::function<void(int64_t done, int64_t total)> progress = {};
};

struct WanTransformerWeights;
struct WanTransformerWorkspace;

class WanTransformer {
 public:
  // `quantization` decides the scheme of each linear layer; used during construction only.
  WanTransformer(const WanTransformerConfig& config,
                 const quantization::QuantizationConfig& quantization);
  ~WanTransformer();
  WanTransformer(const WanTransformer&) = delete;
  WanTransformer& operator=(const WanTransformer&) = delete;

  const WanTransformerConfig& config() const { return config_; }
  void declare_parameters(checkpoint::ParameterLoader& loader);

  // Patches of a latent [in_channels, frames, height, width]. Throws Code::kInvalidArgument when it
  // is no multiple of the patch or beyond rope_max_seq_len.
  int64_t token_count(const Shape& latents) const;

  // What forward() needs to know of a prompt. Throws Code::kCancelled.
  WanTextContext encode_text(const WanTextInput& input, kernels::Context& context) const;

  // For each text a velocity [out_channels, frames, height, width]; both branches of guidance are
  // one call because the time embedding serves both. Throws Code::kCancelled.
  std::vector<Tensor> forward(const WanTransformerInput& input, WanTransformerWorkspace& workspace,
                              kernels::Context& context) const;

  // Every linear layer in checkpoint order, quantized or not.
  std::vector<const quantization::LinearMethod*> linears() const;
  int64_t weight_bytes() const;
  // Most that a linear layer of a block takes for the quantized form of its input.
  int64_t quantized_input_bytes(int64_t tokens) const;

 private:
  WanTransformerConfig config_;
  std::unique_ptr<WanTransformerWeights> weights_;
};

// Patches along t, h, w.
struct PatchGrid {
  int64_t t = 0, h = 0, w = 0;
  int64_t tokens() const { return t * h * w; }
  bool operator==(const PatchGrid&) const = default;
};

struct RopeTables {
  Tensor cos, sin;  // kernels::make_rope_table()
};

// Tokens that go through the feed-forward layers together: enough to hide the reading of weights,
// and a bound for what lies between the two layers, the widest of all activations.
inline constexpr int64_t kMostFfnRows = 2048;

// Activation memory of a forward pass and what depends on the video's size alone, made once.
struct WanTransformerWorkspace {
  // For latents [any, frames, height, width], on the context's device.
  WanTransformerWorkspace(const WanTransformer& model, const Shape& latents,
                          kernels::Context& context);
  int64_t bytes() const;

  PatchGrid grid;
  RopeTables rope;
  Tensor patches;    // [tokens, in_channels·patch volume]
  Tensor hidden;     // [tokens, dim]: the residual stream
  Tensor normed;     // [tokens, dim]: input of the next linears
  Tensor quantized;  // bytes: its quantized form, if a layer takes one
  Tensor q, k, v;    // [tokens, dim]
  Tensor ffn;        // [tokens that feed-forward takes at a time, ffn_dim]
};

}  // namespace mxvideo::models
