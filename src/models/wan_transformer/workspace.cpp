#include <algorithm>

#include "base/checked.h"
#include "kernels/tables/rope_tables.h"
#include "models/wan_transformer/patches.h"
#include "models/wan_transformer/weights.h"

namespace mxvideo::models {

int64_t ffn_rows(int64_t tokens) { return ceil_div(tokens, ceil_div(tokens, kMostFfnRows)); }

WanTransformerWorkspace::WanTransformerWorkspace(const WanTransformer& model, const Shape& latents,
                                                 kernels::Context& context)
    : grid(patch_grid(model.config(), latents)) {
  const WanTransformerConfig& config = model.config();
  const int64_t tokens = grid.tokens();
  for (Tensor* table : {&rope.cos, &rope.sin}) {
    *table = kernels::make_rope_table(tokens, config.head_dim, context);
  }
  const kernels::Layers layers(context, "rotary embedding");
  kernels::rope_tables({.cos = rope.cos,
                        .sin = rope.sin,
                        .frames = grid.t,
                        .rows = grid.h,
                        .columns = grid.w,
                        .head_dim = config.head_dim},
                       context);
  const auto [pt, ph, pw] = config.patch_size;
  patches = context.activations({tokens, config.in_channels * pt * ph * pw});
  hidden = context.tensor({tokens, config.dim()});
  for (Tensor* rows : {&normed, &q, &k, &v}) *rows = context.activations({tokens, config.dim()});
  ffn = context.activations({ffn_rows(tokens), config.ffn_dim});
  const int64_t bytes = model.quantized_input_bytes(tokens);
  if (bytes > 0) quantized = context.tensor({bytes}, DType::kU8);
}

int64_t WanTransformerWorkspace::bytes() const {
  int64_t total = 0;
  for (const Tensor* tensor :
       {&rope.cos, &rope.sin, &patches, &hidden, &normed, &quantized, &q, &k, &v, &ffn}) {
    total += tensor->bytes();
  }
  return total;
}

int64_t WanTransformer::quantized_input_bytes(int64_t tokens) const {
  int64_t most = 0;
  const auto take = [&](const LinearPtr& linear, int64_t rows) {
    most = std::max(most, linear->quantized_input_bytes(rows));
  };
  for (const WanBlockWeights& block : weights_->blocks) {
    for (const WanAttentionWeights* attention : {&block.attn1, &block.attn2}) {
      take(attention->to_q, tokens);
      take(attention->to_k, tokens);
      take(attention->to_v, tokens);
      take(attention->to_out, tokens);
    }
    take(block.ffn_in, ffn_rows(tokens));
    take(block.ffn_out, ffn_rows(tokens));
  }
  return most;
}

}  // namespace mxvideo::models
