#include <algorithm>
#include <array>

#include "base/checked.h"
#include "models/wan_transformer/patches.h"
#include "models/wan_transformer/weights.h"

namespace mxvideo::models {
namespace {

constexpr int kTensors = 9;

// Shapes of the F32 tensors, in the order of the struct.
std::array<Shape, kTensors> tensor_shapes(const WanTransformerConfig& c, int64_t tokens) {
  const int64_t patch = c.in_channels * c.patch_size[0] * c.patch_size[1] * c.patch_size[2];
  const Shape angles{tokens, c.head_dim / 2}, rows{tokens, c.dim()};
  return {angles, angles, Shape{tokens, patch},
          rows,   rows,   rows,
          rows,   rows,   Shape{ffn_rows(tokens), c.ffn_dim}};
}

}  // namespace

int64_t ffn_rows(int64_t tokens) { return ceil_div(tokens, ceil_div(tokens, kMostFfnRows)); }

WanTransformerWorkspace::WanTransformerWorkspace(const WanTransformer& model, const Shape& latents)
    : grid(patch_grid(model.config(), latents)), rope(rope_tables(model.config(), grid)) {
  const auto shapes = tensor_shapes(model.config(), grid.tokens());
  size_t next = 2;  // after the tables
  for (Tensor* tensor : {&patches, &hidden, &normed, &q, &k, &v, &ffn}) {
    *tensor = Tensor(DType::kF32, shapes[next++]);
  }
  const int64_t bytes = model.quantized_input_bytes(grid.tokens());
  if (bytes > 0) quantized = Tensor(DType::kU8, {bytes});
}

int64_t WanTransformerWorkspace::bytes() const {
  int64_t total = 0;
  for (const Tensor* tensor :
       {&rope.cos, &rope.sin, &patches, &hidden, &normed, &quantized, &q, &k, &v, &ffn}) {
    total += tensor->bytes();
  }
  return total;
}

int64_t WanTransformerWorkspace::planned_bytes(const WanTransformer& model, const Shape& latents) {
  const int64_t tokens = model.token_count(latents);
  int64_t total = model.quantized_input_bytes(tokens);
  for (const Shape& shape : tensor_shapes(model.config(), tokens)) {
    total += shape.count() * dtype_size(DType::kF32);
  }
  return total;
}

int64_t WanTransformer::quantized_input_bytes(int64_t tokens) const {
  kernels::Context context;
  int64_t most = 0;
  const auto take = [&](const LinearPtr& linear, int64_t rows) {
    most = std::max(most, linear->plan(rows, context).input_bytes);
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
