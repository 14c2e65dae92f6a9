// The memory and the kernels of WanTransformer::forward(), as it allocates and calls them there.
// Tests compare the peak with that of real runs, byte by byte.
#include <optional>

#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/matmul/matmul.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "models/wan_transformer/patches.h"
#include "models/wan_transformer/weights.h"

namespace mxvideo::models {
namespace {

using kernels::AttentionProducts;
using quantization::LinearMethod;
using quantization::LinearPlan;

constexpr int64_t kModulations = 6;

// A LinearInput: keeps the quantized form of its rows once a layer asked for it.
class PlannedInput {
 public:
  enum class Memory { kOwn, kWorkspace, kWorkspaceOfNorm };
  PlannedInput(MemoryTrace& trace, int64_t rows, Memory memory = Memory::kOwn)
      : trace_(trace), rows_(rows), memory_(memory) {}

  void apply(const LinearMethod& linear, kernels::Context& context) {
    const LinearPlan plan = linear.plan(rows_, context);
    if (memory_ == Memory::kOwn && form_.bytes() == 0 && plan.input_bytes > 0) {
      form_ = {trace_, plan.input_bytes};
    }
    if (memory_ == Memory::kWorkspaceOfNorm) trace_.pass(plan.norm_bytes);
    trace_.pass(plan.scratch_bytes);
  }

 private:
  MemoryTrace& trace_;
  int64_t rows_;
  Memory memory_;
  PlannedBuffer form_;
};

// One forward() that is planned.
struct PlannedForward {
  const WanTransformerConfig& config;
  const WanTransformerPlanInput& input;
  int64_t tokens;
  MemoryTrace& trace;
  LayerKernels& kernels;

  PlannedTensor tensor(const Shape& shape) const { return {trace, shape}; }
  PlannedInput normed(int64_t rows) const {
    return {trace, rows, PlannedInput::Memory::kWorkspaceOfNorm};
  }
  PlannedInput stored(int64_t rows) const {
    return {trace, rows, PlannedInput::Memory::kWorkspace};
  }
  kernels::Context& layers(const char* name) const { return kernels[name]; }

  void matmul(const char* layer, int64_t m, int64_t n, int64_t k) const {
    kernels::select("matmul", kernels::matmul_rows(), {.m = m, .n = n, .k = k}, layers(layer));
    trace.pass(kernels::matmul_workspace_bytes(m, n));
  }
  void attend(const char* layer, int64_t keys, AttentionProducts products) const {
    kernels::select(kernels::attention_op(products), kernels::attention_rows(products),
                    {.q_length = tokens,
                     .kv_length = keys,
                     .heads = config.num_heads,
                     .head_dim = config.head_dim},
                    layers(layer));
    trace.pass(kernels::attention_workspace_bytes(tokens, keys, config.num_heads, config.head_dim,
                                                  products));
  }
  void note_vector_kernels() const {
    kernels::Context& norms = layers("norms");
    kernels::select("layer_norm", kernels::layer_norm_rows(), {}, norms);
    kernels::select("rms_norm", kernels::rms_norm_rows(), {}, norms);
    kernels::select("rope", kernels::rope_rows(), {}, layers("rotary embedding"));
    kernels::select("elementwise", kernels::elementwise_rows(), {}, layers("time embedding"));
  }
};

// time.temb, with what it takes to make it and timestep_proj.
PlannedTensor plan_time_embedding(const WanTransformerWeights& w, const PlannedForward& pass,
                                  PlannedTensor& timestep_proj) {
  const int64_t rows = pass.input.time_rows, dim = pass.config.dim();
  kernels::Context& context = pass.layers("time embedding");
  const PlannedTensor sinusoid = pass.tensor({rows, pass.config.freq_dim});
  const PlannedTensor hidden = pass.tensor({rows, dim});
  PlannedInput sinusoid_input(pass.trace, rows);
  sinusoid_input.apply(*w.time_linear_1, context);
  PlannedTensor temb = pass.tensor({rows, dim});
  PlannedInput hidden_input(pass.trace, rows);
  hidden_input.apply(*w.time_linear_2, context);
  const PlannedTensor activated = pass.tensor({rows, dim});
  timestep_proj = pass.tensor({rows, kModulations * dim});
  PlannedInput activated_input(pass.trace, rows);
  activated_input.apply(*w.time_proj, context);
  return temb;
}

void plan_self_attention(const WanAttentionWeights& w, const PlannedForward& pass) {
  kernels::Context& context = pass.layers("attention linears");
  PlannedInput normed = pass.normed(pass.tokens);
  for (const LinearPtr* linear : {&w.to_q, &w.to_k, &w.to_v}) normed.apply(**linear, context);
  pass.attend("self attention", pass.tokens, context.attention);
  PlannedInput heads = pass.stored(pass.tokens);
  heads.apply(*w.to_out, context);
}

void plan_cross_attention(const WanAttentionWeights& w, const PlannedForward& pass,
                          int64_t text_rows) {
  kernels::Context& context = pass.layers("attention linears");
  PlannedInput normed = pass.normed(pass.tokens);
  normed.apply(*w.to_q, context);
  pass.attend("cross attention", text_rows, AttentionProducts::kFp32);
  PlannedInput heads = pass.stored(pass.tokens);
  heads.apply(*w.to_out, context);
}

void plan_feed_forward(const WanBlockWeights& block, const PlannedForward& pass) {
  kernels::Context& context = pass.layers("feed forward linears");
  const int64_t rows = ffn_rows(pass.tokens);
  PlannedInput normed = pass.normed(rows);
  normed.apply(*block.ffn_in, context);
  PlannedInput activated = pass.stored(rows);
  activated.apply(*block.ffn_out, context);
}

}  // namespace

PlannedTensor WanTransformer::plan_text(int64_t distinct_rows, MemoryTrace& trace,
                                        LayerKernels& kernels) const {
  const WanTransformerWeights& w = *weights_;
  const Shape shape{distinct_rows, config_.dim()};
  PlannedTensor embedding;
  {
    PlannedInput text(trace, distinct_rows);
    const PlannedTensor hidden(trace, shape);
    text.apply(*w.text_linear_1, kernels["text embedding"]);
    PlannedInput hidden_input(trace, distinct_rows);
    embedding = PlannedTensor(trace, shape);
    hidden_input.apply(*w.text_linear_2, kernels["text embedding"]);
  }
  PlannedInput embedded(trace, distinct_rows);
  PlannedTensor context(trace, {2 * config_.num_layers, distinct_rows, config_.dim()});
  for (const WanBlockWeights& block : w.blocks) {
    embedded.apply(*block.attn2.to_k, kernels["attention linears"]);
    embedded.apply(*block.attn2.to_v, kernels["attention linears"]);
  }
  kernels::select("rms_norm", kernels::rms_norm_rows(), {}, kernels["norms"]);
  return context;
}

std::vector<PlannedTensor> WanTransformer::plan_forward(const WanTransformerPlanInput& input,
                                                        MemoryTrace& trace,
                                                        LayerKernels& kernels) const {
  const PatchGrid grid = patch_grid(config_, input.latents);
  const WanTransformerWeights& w = *weights_;
  const PlannedForward pass{.config = config_,
                            .input = input,
                            .tokens = grid.tokens(),
                            .trace = trace,
                            .kernels = kernels};
  const int64_t dim = config_.dim();
  pass.note_vector_kernels();
  pass.matmul(
      "patch embedding", pass.tokens, dim,
      config_.in_channels * config_.patch_size[0] * config_.patch_size[1] * config_.patch_size[2]);
  PlannedTensor timestep_proj;
  const PlannedTensor temb = plan_time_embedding(w, pass, timestep_proj);
  std::vector<PlannedTensor> velocities;
  for (const int64_t text_rows : input.text_rows) {
    for (const WanBlockWeights& block : w.blocks) {
      const PlannedTensor modulation = pass.tensor({input.time_rows, kModulations, dim});
      plan_self_attention(block.attn1, pass);
      plan_cross_attention(block.attn2, pass, text_rows);
      plan_feed_forward(block, pass);
    }
    const PlannedTensor modulation = pass.tensor({input.time_rows, 2, dim});
    PlannedInput normed = pass.normed(pass.tokens);
    const PlannedTensor rows = pass.tensor({pass.tokens, w.proj_out->shape().out_features});
    normed.apply(*w.proj_out, pass.layers("head"));
    velocities.push_back(
        pass.tensor({config_.out_channels, input.latents[1], input.latents[2], input.latents[3]}));
  }
  return velocities;
}

}  // namespace mxvideo::models
