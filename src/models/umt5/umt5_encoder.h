// The UMT5 text encoder: T5 encoder stack with per-layer relative position bias and gated GELU.
// Source: transformers UMT5EncoderModel. Its linear layers are LinearMethods; without a scheme they
// keep the stored type, as the embedding does in any case. Relative bias tables and norms are fp32.
// Immutable after loading; encode() is thread-compatible with separate contexts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "checkpoint/parameter_loader.h"
#include "kernels/common/context.h"
#include "quantization/quantization_config.h"
#include "tensor/tensor.h"

namespace mxvideo::models {

struct Umt5Config {
  int64_t vocab_size = 0, d_model = 0, d_kv = 0, d_ff = 0, num_layers = 0, num_heads = 0;
  int64_t relative_attention_num_buckets = 0, relative_attention_max_distance = 0;
  float layer_norm_epsilon = 1e-6f;

  // From text_encoder/config.json. `origin` names the file in messages. Throws Code::kCorruptFile
  // on missing or senseless values, Code::kUnsupported on an architecture that is not UMT5.
  static Umt5Config from_json(const nlohmann::json& json, const std::string& origin);
};

// Buckets of the distances 0 … length - 1 to earlier keys; a later key has half of num_buckets
// more. The first quarter of num_buckets is exact, then logarithmic up to max_distance.
std::vector<int64_t> umt5_relative_buckets(const Umt5Config& config, int64_t length);

struct Umt5Run {
  kernels::Context* context = nullptr;
  const CancellationToken* cancellation = nullptr;                 // optional; checked each block
  std::function<void(int64_t done, int64_t total)> progress = {};  // optional; per block
  // Optional: receives intermediates [ids, features] named "embedding", "block0.attn.q", … as
  // tests/golden/README.md lists them for every block.
  std::function<void(const std::string& name, const Tensor& value)> observe = {};
};

class Umt5Encoder {
 public:
  explicit Umt5Encoder(const Umt5Config& config);  // unquantized
  // Layers whose input is no whole number of MX blocks are not quantizable.
  Umt5Encoder(const Umt5Config& config, const quantization::QuantizationConfig& quantization);
  ~Umt5Encoder();
  Umt5Encoder(Umt5Encoder&&) noexcept;
  Umt5Encoder& operator=(Umt5Encoder&&) noexcept;

  const Umt5Config& config() const { return config_; }
  // The names of transformers. The embedding is "shared.weight"; a tied copy under
  // "encoder.embed_tokens.weight" may be present and is not read.
  void declare_parameters(checkpoint::ParameterLoader& loader);

  // Last hidden state [ids.size(), d_model] of the real tokens only: padding is masked in the
  // reference, so leaving it out gives the same rows. Ids outside the vocabulary and an empty list
  // throw Code::kInvalidArgument.
  Tensor encode(std::span<const int32_t> ids, const Umt5Run& run) const;
  Tensor encode(std::span<const int32_t> ids, kernels::Context& context) const;
  int64_t weight_bytes() const;
  std::vector<const quantization::LinearMethod*> linears() const;  // seven of each block

 private:
  struct Weights;
  Umt5Config config_;
  std::unique_ptr<Weights> weights_;
};

// Some checkpoints hold the embedding only under the encoder's name; gives it the name that
// declare_parameters() expects. Call before loading.
void use_shared_embedding_name(checkpoint::Checkpoint& checkpoint);

}  // namespace mxvideo::models
