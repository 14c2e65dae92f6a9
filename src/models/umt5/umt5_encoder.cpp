#include "models/umt5/umt5_encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"
#include "formats/mx_block.h"
#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/layout/gather_rows.h"
#include "kernels/rms_norm/rms_norm.h"

namespace mxvideo::models {
namespace {

using quantization::LinearInput;
using quantization::LinearMethod;
using quantization::LinearOutput;
using quantization::LinearShape;
using quantization::QuantizationConfig;

constexpr const char* kSharedEmbedding = "shared.weight";
constexpr const char* kEncoderEmbedding = "encoder.embed_tokens.weight";

struct Block {
  Tensor attention_norm;                   // [d_model], F32
  std::unique_ptr<LinearMethod> q, k, v;   // d_model -> heads·d_kv
  std::unique_ptr<LinearMethod> o;         // heads·d_kv -> d_model
  Tensor relative_bias;                    // [buckets, heads], F32
  Tensor feed_forward_norm;                // [d_model], F32
  std::unique_ptr<LinearMethod> gate, up;  // wi_0 and wi_1, d_model -> d_ff
  std::unique_ptr<LinearMethod> down;      // wo, d_ff -> d_model
};

// A copy in the stored type.
void add_stored(checkpoint::ParameterLoader& loader, const std::string& name, const Shape& shape,
                Tensor* destination) {
  loader.add_group(
      {{.name = name, .shape = shape, .dtypes = {}}},
      [destination](std::span<const checkpoint::StoredTensor> tensors, kernels::Context& context) {
        *destination = stored_copy(tensors[0].view, context.device());
      });
}

std::array<LinearMethod*, 7> linears_of(const Block& block) {
  return {block.q.get(),    block.k.get(),  block.v.get(),   block.o.get(),
          block.gate.get(), block.up.get(), block.down.get()};
}

Block make_block(const Umt5Config& config, int64_t index, const QuantizationConfig& quantization) {
  const std::string layers = "encoder.block." + std::to_string(index) + ".layer.";
  const int64_t inner = config.num_heads * config.d_kv;
  const auto make = [&](const char* name, int64_t out, int64_t in) {
    const LinearShape shape = {.out_features = out, .in_features = in, .bias = false};
    return quantization.make_linear(layers + name, shape, in % formats::kMxBlockSize == 0);
  };
  Block block;
  block.q = make("0.SelfAttention.q", inner, config.d_model);
  block.k = make("0.SelfAttention.k", inner, config.d_model);
  block.v = make("0.SelfAttention.v", inner, config.d_model);
  block.o = make("0.SelfAttention.o", config.d_model, inner);
  block.gate = make("1.DenseReluDense.wi_0", config.d_ff, config.d_model);
  block.up = make("1.DenseReluDense.wi_1", config.d_ff, config.d_model);
  block.down = make("1.DenseReluDense.wo", config.d_model, config.d_ff);
  return block;
}

}  // namespace

struct Umt5Encoder::Weights {
  Tensor embedding;  // [vocab_size, d_model], as stored
  std::vector<Block> blocks;
  Tensor final_norm;  // [d_model], F32
};

namespace {

// Rows of the bias tables for each distance of a key from its query, ascending.
std::vector<int32_t> bucket_rows(const Umt5Config& config, int64_t length) {
  const std::vector<int64_t> earlier = umt5_relative_buckets(config, length);
  std::vector<int32_t> rows;
  for (int64_t distance = 1 - length; distance < length; ++distance) {
    const int64_t later = distance > 0 ? config.relative_attention_num_buckets / 2 : 0;
    rows.push_back(static_cast<int32_t>(earlier[static_cast<size_t>(std::abs(distance))] + later));
  }
  return rows;
}

// One encode() call: the buffers that all blocks share, and the steps of a block.
class Pass {
 public:
  Pass(const Umt5Config& config, const Umt5Run& run, int64_t length);

  // hidden = rows of the embedding table, decoded one by one.
  void embed(const Tensor& embedding, std::span<const int32_t> ids);
  void run_block(const Block& block, int64_t index);
  Tensor finish(const Tensor& final_norm);

 private:
  void attend(const Block& block, const std::string& prefix);
  void feed_forward(const Block& block, const std::string& prefix);
  void normalize(const Tensor& weight, Tensor& out);
  LinearInput input(const Tensor& x) const { return {x, length_, x.dim(1)}; }
  // out = x Wᵀ, or out += x Wᵀ.
  void multiply(LinearInput& x, const LinearMethod& linear, Tensor& out, bool add_to_out = false);
  // [heads, 2·length - 1], the layout of AttentionArgs::relative_bias.
  void expand_relative_bias(const Tensor& table);
  void observe(const std::string& name, const Tensor& value) const {
    if (run_.observe) run_.observe(name, value);
  }

  const Umt5Config& config_;
  const Umt5Run& run_;
  int64_t length_;
  std::vector<int32_t> buckets_;  // of key minus query, from 1 - length to length - 1
  Tensor hidden_;                 // [length, d_model]: the residual stream
  Tensor normed_;                 // [length, d_model]
  Tensor q_, k_, v_, heads_;      // [length, heads·d_kv]
  Tensor gate_, up_;              // [length, d_ff]
  Tensor bias_;                   // [heads, 2·length - 1]
};

Pass::Pass(const Umt5Config& config, const Umt5Run& run, int64_t length)
    : config_(config),
      run_(run),
      length_(length),
      buckets_(bucket_rows(config, length)),
      hidden_(run.context->tensor({length, config.d_model})),
      normed_(run.context->activations({length, config.d_model})),
      q_(run.context->activations({length, config.num_heads * config.d_kv})),
      k_(run.context->activations({length, config.num_heads * config.d_kv})),
      v_(run.context->activations({length, config.num_heads * config.d_kv})),
      heads_(run.context->activations({length, config.num_heads * config.d_kv})),
      gate_(run.context->activations({length, config.d_ff})),
      up_(run.context->activations({length, config.d_ff})),
      bias_(run.context->tensor({config.num_heads, 2 * length - 1})) {}

void Pass::embed(const Tensor& embedding, std::span<const int32_t> ids) {
  kernels::gather_rows({.table = embedding,
                        .dtype = embedding.dtype(),
                        .width = config_.d_model,
                        .ids = {ids.begin(), ids.end()},
                        .y = hidden_,
                        .row_stride = config_.d_model},
                       *run_.context);
  observe("embedding", hidden_);
}

void Pass::run_block(const Block& block, int64_t index) {
  const std::string prefix = "block" + std::to_string(index) + ".";
  attend(block, prefix);
  feed_forward(block, prefix);
  observe(prefix + "output", hidden_);
}

void Pass::attend(const Block& block, const std::string& prefix) {
  normalize(block.attention_norm, normed_);
  observe(prefix + "attn.norm", normed_);
  LinearInput normed = input(normed_);
  multiply(normed, *block.q, q_);
  multiply(normed, *block.k, k_);
  multiply(normed, *block.v, v_);
  observe(prefix + "attn.q", q_);
  observe(prefix + "attn.k", k_);
  observe(prefix + "attn.v", v_);
  expand_relative_bias(block.relative_bias);
  // UMT5 does not divide the scores by the square root of d_kv.
  kernels::attention({.q = q_,
                      .k = k_,
                      .v = v_,
                      .out = heads_,
                      .q_length = length_,
                      .kv_length = length_,
                      .heads = config_.num_heads,
                      .head_dim = config_.d_kv,
                      .scale = 1,
                      .relative_bias = bias_},
                     *run_.context);
  observe(prefix + "attn.heads", heads_);
  LinearInput heads = input(heads_);
  multiply(heads, *block.o, hidden_, true);
  observe(prefix + "after_attn", hidden_);
}

void Pass::feed_forward(const Block& block, const std::string& prefix) {
  normalize(block.feed_forward_norm, normed_);
  observe(prefix + "ffn.norm", normed_);
  LinearInput normed = input(normed_);
  multiply(normed, *block.gate, gate_);
  multiply(normed, *block.up, up_);
  kernels::elementwise({.op = kernels::ElementwiseOp::kGeluTanhMultiply,
                        .x = gate_,
                        .z = up_,
                        .y = gate_,
                        .count = gate_.count()},
                       *run_.context);
  observe(prefix + "ffn.gated", gate_);
  LinearInput gated = input(gate_);
  multiply(gated, *block.down, hidden_, true);
}

Tensor Pass::finish(const Tensor& final_norm) {
  normed_ = Tensor();
  Tensor text = run_.context->tensor(hidden_.shape());
  normalize(final_norm, text);
  observe("final_norm", text);
  return text;
}

void Pass::normalize(const Tensor& weight, Tensor& out) {
  kernels::rms_norm({.x = hidden_,
                     .y = out,
                     .rows = length_,
                     .dim = config_.d_model,
                     .epsilon = config_.layer_norm_epsilon,
                     .weight = weight},
                    *run_.context);
}

void Pass::multiply(LinearInput& x, const LinearMethod& linear, Tensor& out, bool add_to_out) {
  LinearOutput output = {.y = out};
  if (add_to_out) {  // without gate: plain residual
    output.epilogue = {.kind = kernels::Epilogue::kGatedResidual, .residual = out};
  }
  linear.apply(x, output, *run_.context);
}

void Pass::expand_relative_bias(const Tensor& table) {
  kernels::gather_rows({.table = table,
                        .width = config_.num_heads,
                        .ids = buckets_,
                        .y = bias_,
                        .row_stride = 1,
                        .column_stride = 2 * length_ - 1},
                       *run_.context);
}

}  // namespace

std::vector<int64_t> umt5_relative_buckets(const Umt5Config& config, int64_t length) {
  const int64_t directional = config.relative_attention_num_buckets / 2;
  const int64_t exact = directional / 2;
  // The reference computes in fp32, and with the logarithm's divisor rounded from double.
  const auto exact_f = static_cast<float>(exact);
  const auto divisor = static_cast<float>(std::log(
      static_cast<double>(config.relative_attention_max_distance) / static_cast<double>(exact)));
  std::vector<int64_t> buckets(static_cast<size_t>(length));
  for (int64_t distance = 0; distance < length; ++distance) {
    int64_t bucket = distance;
    if (distance >= exact) {
      const float ratio = std::log(static_cast<float>(distance) / exact_f) / divisor;
      const float steps = ratio * static_cast<float>(directional - exact);
      bucket = std::min(exact + static_cast<int64_t>(steps), directional - 1);
    }
    buckets[static_cast<size_t>(distance)] = bucket;
  }
  return buckets;
}

Umt5Encoder::Umt5Encoder(const Umt5Config& config)
    : Umt5Encoder(config, *quantization::make_quantization_config({})) {}

Umt5Encoder::Umt5Encoder(const Umt5Config& config, const QuantizationConfig& quantization)
    : config_(config), weights_(std::make_unique<Weights>()) {
  for (int64_t i = 0; i < config.num_layers; ++i) {
    weights_->blocks.push_back(make_block(config, i, quantization));
  }
}

std::vector<const LinearMethod*> Umt5Encoder::linears() const {
  std::vector<const LinearMethod*> all;
  for (const Block& block : weights_->blocks) {
    for (const LinearMethod* linear : linears_of(block)) all.push_back(linear);
  }
  return all;
}

Umt5Encoder::~Umt5Encoder() = default;
Umt5Encoder::Umt5Encoder(Umt5Encoder&&) noexcept = default;
Umt5Encoder& Umt5Encoder::operator=(Umt5Encoder&&) noexcept = default;

void Umt5Encoder::declare_parameters(checkpoint::ParameterLoader& loader) {
  const Umt5Config& c = config_;
  add_stored(loader, kSharedEmbedding, {c.vocab_size, c.d_model}, &weights_->embedding);
  loader.ignore(kEncoderEmbedding);
  for (size_t i = 0; i < weights_->blocks.size(); ++i) {
    Block& block = weights_->blocks[i];
    const std::string layers = "encoder.block." + std::to_string(i) + ".layer.";
    loader.add_f32(layers + "0.layer_norm.weight", {c.d_model}, &block.attention_norm);
    loader.add_f32(layers + "0.SelfAttention.relative_attention_bias.weight",
                   {c.relative_attention_num_buckets, c.num_heads}, &block.relative_bias);
    loader.add_f32(layers + "1.layer_norm.weight", {c.d_model}, &block.feed_forward_norm);
    for (LinearMethod* linear : linears_of(block)) linear->create_weights(loader);
  }
  loader.add_f32("encoder.final_layer_norm.weight", {c.d_model}, &weights_->final_norm);
}

Tensor Umt5Encoder::encode(std::span<const int32_t> ids, const Umt5Run& run) const {
  check(run.context != nullptr, "encode() has a context");
  check(!weights_->final_norm.empty(), "weights are loaded");
  if (ids.empty()) throw Error(Code::kInvalidArgument, "text encoder: no token ids");
  for (const int32_t id : ids) {
    if (id >= 0 && id < config_.vocab_size) continue;
    throw Error(Code::kInvalidArgument, "text encoder: token id " + std::to_string(id) +
                                            ", expected 0 to " +
                                            std::to_string(config_.vocab_size - 1));
  }
  Pass pass(config_, run, static_cast<int64_t>(ids.size()));
  pass.embed(weights_->embedding, ids);
  for (int64_t i = 0; i < config_.num_layers; ++i) {
    if (run.cancellation != nullptr) run.cancellation->throw_if_cancelled();
    pass.run_block(weights_->blocks[static_cast<size_t>(i)], i);
    if (run.progress) run.progress(i + 1, config_.num_layers);
  }
  return pass.finish(weights_->final_norm);
}

Tensor Umt5Encoder::encode(std::span<const int32_t> ids, kernels::Context& context) const {
  return encode(ids, Umt5Run{.context = &context});
}

int64_t Umt5Encoder::weight_bytes() const {
  int64_t bytes = weights_->embedding.bytes() + weights_->final_norm.bytes();
  for (const Block& block : weights_->blocks) {
    for (const Tensor* tensor :
         {&block.attention_norm, &block.relative_bias, &block.feed_forward_norm}) {
      bytes += tensor->bytes();
    }
    for (const LinearMethod* linear : linears_of(block)) bytes += linear->weight_bytes();
  }
  return bytes;
}

void use_shared_embedding_name(checkpoint::Checkpoint& checkpoint) {
  const auto& tensors = checkpoint.tensors();
  if (tensors.contains(kSharedEmbedding) || !tensors.contains(kEncoderEmbedding)) return;
  checkpoint.rename({{kEncoderEmbedding, kSharedEmbedding}});
}

}  // namespace mxvideo::models
