// The forward pass, in the order of the paper and of diffusers' WanTransformer3DModel.forward.
#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/layout/copy_nd.h"
#include "kernels/matmul/matmul.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "kernels/tables/time_sinusoid.h"
#include "models/wan_transformer/patches.h"
#include "models/wan_transformer/weights.h"

namespace mxvideo::models {
namespace {

using kernels::AttentionNorm;
using kernels::AttentionProducts;
using kernels::Context;
using kernels::ElementwiseOp;
using kernels::Epilogue;
using kernels::Layers;
using kernels::RowRun;
using kernels::RowRuns;
using quantization::LinearInput;
using quantization::LinearMethod;
using quantization::LinearResult;

// Vectors of scale_shift_table + timestep_proj, in the table's order.
enum Modulation {
  kAttentionShift,
  kAttentionScale,
  kAttentionGate,
  kFfnShift,
  kFfnScale,
  kFfnGate
};
constexpr int64_t kModulations = 6;

// One pass over the blocks: what every step of it needs.
struct Pass {
  const WanTransformerConfig& config;
  const WanTransformerInput& input;
  WanTransformerWorkspace& work;
  Context& context;
  int64_t tokens = 0;
  int64_t time_rows = 0;           // distinct timesteps
  Tensor token_rows;               // I32 [tokens] row of the timestep tensors; empty means row 0
  std::vector<RowRun> token_runs;  // the same
  Tensor temb;                     // [time_rows, dim]
  Tensor timestep_proj;            // [time_rows, 6, dim]

  void probe(const std::string& name, const Tensor& value) const {
    if (input.probe != nullptr) (*input.probe)(name, value);
  }
  // The rows of `x` in work.normed, which the layers alone might never ask for.
  void probe_normed(const std::string& name, LinearInput& x) const {
    if (input.probe == nullptr) return;
    x.x(context);
    (*input.probe)(name, work.normed);
  }
  DevicePtr<const int32_t> token_row_from(int64_t first) const {
    DevicePtr<const int32_t> rows = token_rows;
    if (rows != nullptr) rows += first;
    return rows;
  }
  RowRuns token_runs_from(int64_t first) const {
    const RowRun* runs = token_runs.empty() ? nullptr : &token_runs.front();
    return {runs, static_cast<int64_t>(token_runs.size()), first};
  }
  // For the quantized form of one LinearInput at a time.
  Tensor* quantized_memory() const { return work.quantized.empty() ? nullptr : &work.quantized; }
};

// y = linear(x) without epilogue.
void apply(const LinearMethod& linear, LinearInput& x, Tensor& y, Context& context) {
  linear.apply(x, {.y = y}, context);
}

void silu(Tensor& x, Context& context) {
  kernels::elementwise({.op = ElementwiseOp::kSilu, .x = x, .y = x, .count = x.count()}, context);
}

void embed_time(const WanTransformerWeights& w, Pass& pass) {
  const int64_t dim = pass.config.dim();
  const Layers layers(pass.context, "time embedding");
  Tensor sinusoid = pass.context.tensor({pass.time_rows, pass.config.freq_dim});
  kernels::time_sinusoid(
      {.timesteps = pass.input.timesteps, .y = sinusoid, .dim = pass.config.freq_dim},
      pass.context);
  Tensor hidden = pass.context.tensor({pass.time_rows, dim});
  LinearInput sinusoid_input(sinusoid, pass.time_rows, pass.config.freq_dim);
  apply(*w.time_linear_1, sinusoid_input, hidden, pass.context);
  silu(hidden, pass.context);
  pass.temb = pass.context.tensor({pass.time_rows, dim});
  LinearInput hidden_input(hidden, pass.time_rows, dim);
  apply(*w.time_linear_2, hidden_input, pass.temb, pass.context);
  pass.probe("time.temb", pass.temb);

  Tensor activated = pass.temb.clone();
  silu(activated, pass.context);
  pass.timestep_proj = pass.context.tensor({pass.time_rows, kModulations * dim});
  LinearInput activated_input(activated, pass.time_rows, dim);
  apply(*w.time_proj, activated_input, pass.timestep_proj, pass.context);
  pass.probe("time.timestep_proj", pass.timestep_proj);
}

void embed_patches(const WanTransformerWeights& w, Pass& pass) {
  const Layers layers(pass.context, "patch embedding");
  patchify(pass.config, *pass.input.latents, pass.work.patches, pass.context);
  kernels::matmul({.x = pass.work.patches,
                   .weight = w.patch_weight,
                   .y = pass.work.hidden,
                   .m = pass.tokens,
                   .n = pass.config.dim(),
                   .k = w.patch_weight.count() / pass.config.dim(),
                   .epilogue = {.bias = w.patch_bias}},
                  pass.context);
  pass.probe("blocks.input", pass.work.hidden);
}

// table [1, count, dim] + rows [time_rows, row_stride/dim or 1, dim] -> [time_rows, count, dim].
// With `broadcast` one row vector is added to every entry of the table.
Tensor add_table(const Tensor& table, const Tensor& rows, bool broadcast, Context& context) {
  const Layers layers(context, "modulation");
  const int64_t count = table.dim(1), dim = table.dim(2), time_rows = rows.dim(0);
  Tensor sum = context.tensor({time_rows, count, dim});
  const int64_t pieces = broadcast ? count : 1, width = count * dim / pieces;
  for (int64_t i = 0; i < time_rows * pieces; ++i) {
    kernels::elementwise({.op = ElementwiseOp::kAdd,
                          .x = table.from(i % pieces * width),
                          .z = rows.from(i / pieces * width),
                          .y = sum.from(i * width),
                          .count = width},
                         context);
  }
  return sum;
}

// Tokens of a step that is made piece by piece.
struct TokenRange {
  int64_t first, count;
};

// The input of the next linears, normed and modulated when they ask for it.
LinearInput modulated_norm(const Pass& pass, const Tensor& modulation, Modulation shift,
                           Modulation scale, const TokenRange& range) {
  const int64_t dim = pass.config.dim();
  return LinearInput({.x = pass.work.hidden.from(range.first * dim),
                      .y = pass.work.normed.from(range.first * dim),
                      .rows = range.count,
                      .dim = dim,
                      .epsilon = pass.config.eps,
                      .scale = modulation.from(scale * dim),
                      .shift = modulation.from(shift * dim),
                      .modulation_stride = modulation.dim(1) * dim,
                      .modulation_row = pass.token_row_from(range.first),
                      .modulation_runs = pass.token_runs_from(range.first)},
                     pass.quantized_memory());
}

AttentionNorm qk_norm(const Pass& pass, const Tensor& weight) {
  return {.weight = weight, .epsilon = pass.config.eps};
}

AttentionNorm rotated_qk_norm(const Pass& pass, const Tensor& weight) {
  AttentionNorm norm = qk_norm(pass, weight);
  norm.cos = pass.work.rope.cos;
  norm.sin = pass.work.rope.sin;
  return norm;
}

// For a probe, which wants to see what attention else makes as it packs.
void norm_now(const Pass& pass, AttentionNorm& norm, Tensor& x) {
  const kernels::RmsNormArgs rms = {.x = x,
                                    .y = x,
                                    .rows = pass.tokens,
                                    .dim = pass.config.dim(),
                                    .epsilon = norm.epsilon,
                                    .weight = norm.weight};
  if (norm.cos == nullptr) {
    kernels::rms_norm(rms, pass.context);
  } else {
    kernels::rms_norm_rope(rms,
                           {.x = x,
                            .cos = norm.cos,
                            .sin = norm.sin,
                            .rows = pass.tokens,
                            .heads = pass.config.num_heads,
                            .head_dim = pass.config.head_dim},
                           pass.context);
  }
  norm = {};
}

// Attention of work.q over k and v, as an input; its rows go to work.normed.
kernels::AttentionArgs attention_args(const Pass& pass, const Tensor& k, const Tensor& v,
                                      AttentionProducts products) {
  return {.q = pass.work.q,
          .k = k,
          .v = v,
          .out = pass.work.normed,
          .q_length = pass.tokens,
          .kv_length = k.dim(0),
          .heads = pass.config.num_heads,
          .head_dim = pass.config.head_dim,
          .scale = 1.0f / std::sqrt(static_cast<float>(pass.config.head_dim)),
          .products = products};
}

// hidden += gate · linear(x) from token `first` on; without a gate, hidden += linear(x).
void add_to_hidden(const Pass& pass, const LinearMethod& linear, LinearInput& x,
                   DevicePtr<const float> gate, int64_t first = 0) {
  const DevicePtr<float> hidden = pass.work.hidden.from(first * pass.config.dim());
  linear.apply(x,
               {.y = hidden,
                .epilogue = {.kind = Epilogue::kGatedResidual,
                             .residual = hidden,
                             .gate = gate,
                             .gate_stride = kModulations * pass.config.dim(),
                             .gate_row = gate == nullptr ? nullptr : pass.token_row_from(first),
                             .gate_runs = pass.token_runs_from(first)}},
               pass.context);
}

void self_attention(const Pass& pass, const WanAttentionWeights& w, const Tensor& modulation,
                    const std::string& name) {
  const Layers layers(pass.context, "self attention");
  const int64_t dim = pass.config.dim();
  LinearInput normed =
      modulated_norm(pass, modulation, kAttentionShift, kAttentionScale, {0, pass.tokens});
  pass.probe_normed(name + ".norm1_modulated", normed);
  apply(*w.to_q, normed, pass.work.q, pass.context);
  apply(*w.to_k, normed, pass.work.k, pass.context);
  apply(*w.to_v, normed, pass.work.v, pass.context);
  pass.probe(name + ".attn1.to_q", pass.work.q);
  pass.probe(name + ".attn1.to_k", pass.work.k);
  pass.probe(name + ".attn1.to_v", pass.work.v);
  kernels::AttentionArgs attention =
      attention_args(pass, pass.work.k, pass.work.v, pass.context.policy.attention);
  attention.q_norm = rotated_qk_norm(pass, w.norm_q);
  attention.k_norm = rotated_qk_norm(pass, w.norm_k);
  if (pass.input.probe != nullptr) {
    norm_now(pass, attention.q_norm, pass.work.q);
    norm_now(pass, attention.k_norm, pass.work.k);
    pass.probe(name + ".attn1.q", pass.work.q);
    pass.probe(name + ".attn1.k", pass.work.k);
  }
  LinearInput heads(attention, pass.quantized_memory());
  pass.probe_normed(name + ".attn1.heads", heads);
  add_to_hidden(pass, *w.to_out, heads, modulation.from(kAttentionGate * dim));
  pass.probe(name + ".after_attn1", pass.work.hidden);
}

void cross_attention(const Pass& pass, const WanBlockWeights& block, const WanTextContext& text,
                     size_t index, const std::string& name) {
  const Layers layers(pass.context, "cross attention");
  const int64_t dim = pass.config.dim();
  const WanAttentionWeights& w = block.attn2;
  LinearInput normed({.x = pass.work.hidden,
                      .y = pass.work.normed,
                      .rows = pass.tokens,
                      .dim = dim,
                      .epsilon = pass.config.eps,
                      .weight = block.norm2_weight,
                      .bias = block.norm2_bias},
                     pass.quantized_memory());
  pass.probe_normed(name + ".norm2", normed);
  apply(*w.to_q, normed, pass.work.q, pass.context);
  const WanTextContext::Block& keys = text.blocks[index];
  kernels::AttentionArgs attention = attention_args(pass, keys.k, keys.v, AttentionProducts::kFp32);
  attention.last_key_count = text.rows - keys.k.dim(0) + 1;
  attention.q_norm = qk_norm(pass, w.norm_q);
  if (pass.input.probe != nullptr) {
    norm_now(pass, attention.q_norm, pass.work.q);
    pass.probe(name + ".attn2.norm_q", pass.work.q);
    pass.probe(name + ".attn2.norm_k", all_text_rows(keys.k, text.rows, pass.context));
    pass.probe(name + ".attn2.to_v", all_text_rows(keys.v, text.rows, pass.context));
  }
  LinearInput heads(attention, pass.quantized_memory());
  pass.probe_normed(name + ".attn2.heads", heads);
  add_to_hidden(pass, *w.to_out, heads, nullptr);
  pass.probe(name + ".after_attn2", pass.work.hidden);
}

// As many tokens at a time as work.ffn has rows.
void feed_forward(const Pass& pass, const WanBlockWeights& block, const Tensor& modulation,
                  const std::string& name) {
  const Layers layers(pass.context, "feed forward");
  const int64_t dim = pass.config.dim(), ffn_dim = pass.config.ffn_dim;
  Tensor gelu;  // of all tokens, for the probe
  if (pass.input.probe != nullptr) gelu = pass.context.activations({pass.tokens, ffn_dim});
  for (int64_t first = 0; first < pass.tokens; first += pass.work.ffn.dim(0)) {
    const int64_t count = std::min(pass.work.ffn.dim(0), pass.tokens - first);
    LinearInput normed = modulated_norm(pass, modulation, kFfnShift, kFfnScale, {first, count});
    LinearInput activated(LinearResult{.layer = block.ffn_in.get(),
                                       .input = &normed,
                                       .epilogue = Epilogue::kGeluTanh,
                                       .y = pass.work.ffn},
                          pass.quantized_memory());
    if (!gelu.empty()) {
      normed.x(pass.context);
      kernels::copy_nd({.x = activated.x(pass.context),
                        .y = gelu.from(first * ffn_dim),
                        .axes = {{{count * ffn_dim, 1, 1}}}},
                       pass.context);
    }
    add_to_hidden(pass, *block.ffn_out, activated, modulation.from(kFfnGate * dim), first);
  }
  pass.probe(name + ".norm3_modulated", pass.work.normed);
  pass.probe(name + ".ffn.gelu", gelu);
  pass.probe(name + ".output", pass.work.hidden);
}

Tensor head(const WanTransformerWeights& w, const Pass& pass, const PatchGrid& grid) {
  const Layers layers(pass.context, "head");
  constexpr auto kShift = static_cast<Modulation>(0);
  constexpr auto kScale = static_cast<Modulation>(1);
  const Tensor modulation =
      add_table(w.scale_shift_table, pass.temb, /*broadcast=*/true, pass.context);
  LinearInput normed = modulated_norm(pass, modulation, kShift, kScale, {0, pass.tokens});
  pass.probe_normed("head.modulated", normed);
  const int64_t features = w.proj_out->shape().out_features;
  Tensor rows = pass.context.tensor({pass.tokens, features});
  apply(*w.proj_out, normed, rows, pass.context);
  pass.probe("head.proj_out", rows);
  return unpatchify(pass.config, rows, grid, pass.context);
}

// Consecutive tokens of one timestep.
std::vector<RowRun> runs_of(std::span<const int32_t> token_timestep) {
  std::vector<RowRun> runs;
  for (const int32_t row : token_timestep) {
    const int64_t next = runs.empty() ? 0 : runs.back().first + runs.back().count;
    if (runs.empty() || runs.back().vector != row) {
      runs.push_back({.first = next, .count = 0, .vector = row});
    }
    ++runs.back().count;
  }
  return runs;
}

void check_input(const WanTransformerConfig& config, const WanTransformerInput& input,
                 int64_t tokens) {
  const auto layers = static_cast<size_t>(config.num_layers);
  check(input.latents->dim(0) == config.in_channels, "latent channels match the config");
  check(!input.texts.empty() && std::ranges::all_of(input.texts,
                                                    [&](const WanTextContext* text) {
                                                      return text->blocks.size() == layers;
                                                    }),
        "texts were encoded by this transformer");
  check(!input.timesteps.empty(), "at least one timestep");
  const auto rows = static_cast<int32_t>(input.timesteps.size());
  check(input.token_timestep.empty() ||
            (static_cast<int64_t>(input.token_timestep.size()) == tokens &&
             std::ranges::all_of(input.token_timestep,
                                 [&](int32_t r) { return r >= 0 && r < rows; })),
        "one valid timestep index per token");
}

}  // namespace

int64_t WanTransformer::token_count(const Shape& latents) const {
  return patch_grid(config_, latents).tokens();
}

std::vector<Tensor> WanTransformer::forward(const WanTransformerInput& input,
                                            WanTransformerWorkspace& workspace,
                                            Context& context) const {
  const PatchGrid grid = patch_grid(config_, input.latents->shape());
  check_input(config_, input, grid.tokens());
  check(workspace.grid == grid, "the workspace was made for this size");
  const WanTransformerWeights& w = *weights_;
  Pass pass{.config = config_,
            .input = input,
            .work = workspace,
            .context = context,
            .tokens = grid.tokens(),
            .time_rows = static_cast<int64_t>(input.timesteps.size()),
            .token_rows = context.upload(input.token_timestep),
            .token_runs = runs_of(input.token_timestep),
            .temb = {},
            .timestep_proj = {}};
  embed_time(w, pass);
  std::vector<Tensor> velocities;
  const auto all_blocks = static_cast<int64_t>(input.texts.size() * w.blocks.size());
  int64_t done = 0;
  for (const WanTextContext* text : input.texts) {
    embed_patches(w, pass);  // again: keeping the result costs memory, making it next to nothing
    for (size_t i = 0; i < w.blocks.size(); ++i) {
      if (input.cancellation != nullptr) input.cancellation->throw_if_cancelled();
      const WanBlockWeights& block = w.blocks[i];
      const std::string name = "block" + std::to_string(i);
      const Tensor modulation =
          add_table(block.scale_shift_table, pass.timestep_proj, false, context);
      self_attention(pass, block.attn1, modulation, name);
      cross_attention(pass, block, *text, i, name);
      feed_forward(pass, block, modulation, name);
      if (input.progress) input.progress(++done, all_blocks);
    }
    velocities.push_back(head(w, pass, grid));
  }
  return velocities;
}

}  // namespace mxvideo::models
