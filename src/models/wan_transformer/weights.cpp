#include "models/wan_transformer/weights.h"

#include <string>

namespace mxvideo::models {
namespace {

using quantization::LinearMethod;
using quantization::LinearShape;
using quantization::QuantizationConfig;

constexpr bool kQuantizable = true;
constexpr bool kKeepPrecision = false;

WanAttentionWeights make_attention(const std::string& prefix, int64_t dim,
                                   const QuantizationConfig& scheme) {
  const LinearShape square{.out_features = dim, .in_features = dim};
  WanAttentionWeights attention;
  attention.to_q = scheme.make_linear(prefix + ".to_q", square, kQuantizable);
  attention.to_k = scheme.make_linear(prefix + ".to_k", square, kQuantizable);
  attention.to_v = scheme.make_linear(prefix + ".to_v", square, kQuantizable);
  attention.to_out = scheme.make_linear(prefix + ".to_out.0", square, kQuantizable);
  return attention;
}

WanBlockWeights make_block(const std::string& prefix, const WanTransformerConfig& config,
                           const QuantizationConfig& scheme) {
  const int64_t dim = config.dim();
  WanBlockWeights block;
  block.attn1 = make_attention(prefix + ".attn1", dim, scheme);
  block.attn2 = make_attention(prefix + ".attn2", dim, scheme);
  block.ffn_in =
      scheme.make_linear(prefix + ".ffn.net.0.proj",
                         {.out_features = config.ffn_dim, .in_features = dim}, kQuantizable);
  block.ffn_out = scheme.make_linear(
      prefix + ".ffn.net.2", {.out_features = dim, .in_features = config.ffn_dim}, kQuantizable);
  return block;
}

std::string block_prefix(size_t index) { return "blocks." + std::to_string(index); }

void declare_attention(checkpoint::ParameterLoader& loader, const std::string& prefix, int64_t dim,
                       WanAttentionWeights& attention) {
  for (LinearMethod* linear :
       {attention.to_q.get(), attention.to_k.get(), attention.to_v.get(), attention.to_out.get()}) {
    linear->create_weights(loader);
  }
  loader.add_f32(prefix + ".norm_q.weight", {dim}, &attention.norm_q);
  loader.add_f32(prefix + ".norm_k.weight", {dim}, &attention.norm_k);
}

int64_t patch_volume(const WanTransformerConfig& config) {
  return config.patch_size[0] * config.patch_size[1] * config.patch_size[2];
}

}  // namespace

WanTransformer::WanTransformer(const WanTransformerConfig& config, const QuantizationConfig& scheme)
    : config_(config), weights_(std::make_unique<WanTransformerWeights>()) {
  const int64_t dim = config.dim();
  WanTransformerWeights& w = *weights_;
  const auto keep = [&](const char* name, int64_t out_features, int64_t in_features) {
    return scheme.make_linear(name, {.out_features = out_features, .in_features = in_features},
                              kKeepPrecision);
  };
  w.time_linear_1 = keep("condition_embedder.time_embedder.linear_1", dim, config.freq_dim);
  w.time_linear_2 = keep("condition_embedder.time_embedder.linear_2", dim, dim);
  w.time_proj = keep("condition_embedder.time_proj", 6 * dim, dim);
  w.text_linear_1 = keep("condition_embedder.text_embedder.linear_1", dim, config.text_dim);
  w.text_linear_2 = keep("condition_embedder.text_embedder.linear_2", dim, dim);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    w.blocks.push_back(make_block(block_prefix(w.blocks.size()), config, scheme));
  }
  w.proj_out = keep("proj_out", config.out_channels * patch_volume(config), dim);
}

WanTransformer::~WanTransformer() = default;

void WanTransformer::declare_parameters(checkpoint::ParameterLoader& loader) {
  const int64_t dim = config_.dim();
  WanTransformerWeights& w = *weights_;
  loader.add_f32("patch_embedding.weight",
                 {dim, config_.in_channels, config_.patch_size[0], config_.patch_size[1],
                  config_.patch_size[2]},
                 &w.patch_weight);
  loader.add_f32("patch_embedding.bias", {dim}, &w.patch_bias);
  for (LinearMethod* linear : {w.time_linear_1.get(), w.time_linear_2.get(), w.time_proj.get(),
                               w.text_linear_1.get(), w.text_linear_2.get(), w.proj_out.get()}) {
    linear->create_weights(loader);
  }
  loader.add_f32("scale_shift_table", {1, 2, dim}, &w.scale_shift_table);
  for (size_t i = 0; i < w.blocks.size(); ++i) {
    const std::string prefix = block_prefix(i);
    WanBlockWeights& block = w.blocks[i];
    loader.add_f32(prefix + ".scale_shift_table", {1, 6, dim}, &block.scale_shift_table);
    declare_attention(loader, prefix + ".attn1", dim, block.attn1);
    declare_attention(loader, prefix + ".attn2", dim, block.attn2);
    loader.add_f32(prefix + ".norm2.weight", {dim}, &block.norm2_weight);
    loader.add_f32(prefix + ".norm2.bias", {dim}, &block.norm2_bias);
    block.ffn_in->create_weights(loader);
    block.ffn_out->create_weights(loader);
  }
}

std::vector<LinearMethod*> WanTransformerWeights::linears() const {
  std::vector<LinearMethod*> all = {time_linear_1.get(), time_linear_2.get(), time_proj.get(),
                                    text_linear_1.get(), text_linear_2.get()};
  for (const WanBlockWeights& block : blocks) {
    for (const WanAttentionWeights* attention : {&block.attn1, &block.attn2}) {
      all.insert(all.end(), {attention->to_q.get(), attention->to_k.get(), attention->to_v.get(),
                             attention->to_out.get()});
    }
    all.insert(all.end(), {block.ffn_in.get(), block.ffn_out.get()});
  }
  all.push_back(proj_out.get());
  return all;
}

std::vector<const LinearMethod*> WanTransformer::linears() const {
  const std::vector<LinearMethod*> all = weights_->linears();
  return {all.begin(), all.end()};
}

int64_t WanTransformer::weight_bytes() const {
  const WanTransformerWeights& w = *weights_;
  int64_t bytes = w.patch_weight.bytes() + w.patch_bias.bytes() + w.scale_shift_table.bytes();
  for (const LinearMethod* linear : w.linears()) bytes += linear->weight_bytes();
  for (const WanBlockWeights& block : w.blocks) {
    bytes +=
        block.scale_shift_table.bytes() + block.norm2_weight.bytes() + block.norm2_bias.bytes();
    for (const WanAttentionWeights* attention : {&block.attn1, &block.attn2}) {
      bytes += attention->norm_q.bytes() + attention->norm_k.bytes();
    }
  }
  return bytes;
}

}  // namespace mxvideo::models
