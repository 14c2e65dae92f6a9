// The prompt's part of a forward pass that no step changes: text embedding, and K and V of every
// cross-attention.
#include <algorithm>
#include <cstring>
#include <string>

#include "base/error.h"
#include "kernels/rms_norm/rms_norm.h"
#include "models/wan_transformer/weights.h"

namespace mxvideo::models {
namespace {

using kernels::Epilogue;
using quantization::LinearInput;

// Rows of `text` without those at its end that repeat the one before them, bit for bit.
int64_t distinct_rows(const Tensor& text) {
  const int64_t dim = text.dim(1);
  const auto bytes = static_cast<size_t>(dim) * sizeof(float);
  int64_t rows = text.dim(0);
  while (rows > 1 &&
         std::memcmp(text.f32() + (rows - 1) * dim, text.f32() + (rows - 2) * dim, bytes) == 0) {
    --rows;
  }
  return rows;
}

Tensor embed_text(const WanTransformerConfig& config, const WanTransformerWeights& w,
                  const float* text, int64_t rows, kernels::Context& context) {
  LinearInput input(text, rows, config.text_dim);
  Tensor hidden(DType::kF32, {rows, config.dim()});
  w.text_linear_1->apply(input, {.y = hidden.f32(), .epilogue = Epilogue::kGeluTanh}, context);
  LinearInput hidden_input(hidden.f32(), rows, config.dim());
  Tensor embedding(DType::kF32, {rows, config.dim()});
  w.text_linear_2->apply(hidden_input, {.y = embedding.f32()}, context);
  return embedding;
}

}  // namespace

int64_t WanTextContext::bytes() const {
  int64_t total = 0;
  for (const Block& block : blocks) total += block.k.bytes() + block.v.bytes();
  return total;
}

Tensor all_text_rows(const Tensor& distinct, int64_t rows) {
  const int64_t dim = distinct.dim(1), last = distinct.dim(0) - 1;
  Tensor all(DType::kF32, {rows, dim});
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(distinct.f32() + std::min(row, last) * dim, dim, all.f32() + row * dim);
  }
  return all;
}

WanTextContext WanTransformer::encode_text(const WanTextInput& input,
                                           kernels::Context& context) const {
  const Tensor& text = *input.text;
  check(text.shape().rank() == 2 && text.dim(0) > 0 && text.dim(1) == config_.text_dim,
        "text is [rows, text_dim]");
  const WanTransformerWeights& w = *weights_;
  const int64_t rows = distinct_rows(text);
  const Tensor embedding = embed_text(config_, w, text.f32(), rows, context);
  if (input.probe != nullptr) {
    (*input.probe)("text.embedding", all_text_rows(embedding, text.dim(0)));
  }
  WanTextContext result{.rows = text.dim(0), .blocks = {}};
  LinearInput embedded(embedding.f32(), rows, config_.dim());
  for (const WanBlockWeights& block : w.blocks) {
    if (input.cancellation != nullptr) input.cancellation->throw_if_cancelled();
    Tensor k(DType::kF32, embedding.shape()), v(DType::kF32, embedding.shape());
    block.attn2.to_k->apply(embedded, {.y = k.f32()}, context);
    block.attn2.to_v->apply(embedded, {.y = v.f32()}, context);
    kernels::rms_norm({.x = k.f32(),
                       .y = k.f32(),
                       .rows = rows,
                       .dim = config_.dim(),
                       .epsilon = config_.eps,
                       .weight = block.attn2.norm_k.f32()},
                      context);
    result.blocks.push_back({.k = std::move(k), .v = std::move(v)});
  }
  return result;
}

}  // namespace mxvideo::models
