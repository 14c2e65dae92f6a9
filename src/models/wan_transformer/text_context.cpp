// The prompt's part of a forward pass that no step changes: text embedding, and K and V of every
// cross-attention.
#include <algorithm>
#include <string>

#include "base/error.h"
#include "kernels/attention/attention.h"
#include "kernels/layout/copy_nd.h"
#include "kernels/layout/fill.h"
#include "kernels/rms_norm/rms_norm.h"
#include "models/wan_transformer/weights.h"

namespace mxvideo::models {
namespace {

using kernels::Epilogue;
using quantization::LinearInput;

// The tokens and, when there are fewer than `rows`, a row of padding.
Tensor distinct_rows(const Tensor& text, int64_t rows, kernels::Context& context) {
  const int64_t tokens = text.dim(0), dim = text.dim(1);
  Tensor distinct = context.activations({std::min(tokens + 1, rows), dim});
  kernels::copy_nd({.x = text, .y = distinct, .axes = {{{tokens * dim, 1, 1}}}}, context);
  if (tokens < rows) kernels::fill({.y = distinct.from(tokens * dim), .width = dim}, context);
  return distinct;
}

Tensor embed_text(const WanTransformerConfig& config, const WanTransformerWeights& w,
                  const Tensor& text, int64_t rows, kernels::Context& context) {
  LinearInput input(text, rows, config.text_dim);
  Tensor hidden = context.activations({rows, config.dim()});
  w.text_linear_1->apply(input, {.y = hidden, .epilogue = {.kind = Epilogue::kGeluTanh}}, context);
  LinearInput hidden_input(hidden, rows, config.dim());
  Tensor embedding = context.activations({rows, config.dim()});
  w.text_linear_2->apply(hidden_input, {.y = embedding}, context);
  return embedding;
}

}  // namespace

int64_t WanTextContext::bytes() const {
  int64_t total = 0;
  for (const Block& block : blocks) total += block.k.bytes() + block.v.bytes();
  return total;
}

Tensor all_text_rows(const Tensor& distinct, int64_t rows, kernels::Context& context) {
  const int64_t dim = distinct.dim(1), count = distinct.dim(0);
  Tensor all = context.activations({rows, dim});
  kernels::copy_nd({.x = distinct, .y = all, .axes = {{{count * dim, 1, 1}}}}, context);
  kernels::copy_nd({.x = distinct.from((count - 1) * dim),
                    .y = all.from(count * dim),
                    .axes = {{{rows - count, 0, dim}, {dim, 1, 1}}}},
                   context);
  return all;
}

WanTextContext WanTransformer::encode_text(const WanTextInput& input,
                                           kernels::Context& context) const {
  const Tensor& text = *input.text;
  check(text.shape().rank() == 2 && text.dim(0) > 0 && text.dim(0) <= input.rows &&
            text.dim(1) == config_.text_dim,
        "text is [tokens, text_dim], tokens at most its rows");
  const kernels::Layers layers(context, "text embedding");
  const WanTransformerWeights& w = *weights_;
  Tensor distinct = distinct_rows(text, input.rows, context);
  const int64_t rows = distinct.dim(0);
  const Tensor embedding = embed_text(config_, w, distinct, rows, context);
  distinct = Tensor();
  if (input.probe != nullptr) {
    (*input.probe)("text.embedding", all_text_rows(embedding, input.rows, context));
  }
  WanTextContext result{.rows = input.rows, .blocks = {}};
  LinearInput embedded(embedding, rows, config_.dim());
  for (const WanBlockWeights& block : w.blocks) {
    if (input.cancellation != nullptr) input.cancellation->throw_if_cancelled();
    Tensor k = context.activations(embedding.shape()), v = context.activations(embedding.shape());
    block.attn2.to_k->apply(embedded, {.y = k}, context);
    block.attn2.to_v->apply(embedded, {.y = v}, context);
    kernels::rms_norm({.x = k,
                       .y = k,
                       .rows = rows,
                       .dim = config_.dim(),
                       .epsilon = config_.eps,
                       .weight = block.attn2.norm_k},
                      context);
    if (rows < input.rows && !kernels::attention_counts_last_key(context.device())) {
      k = all_text_rows(k, input.rows, context);
      v = all_text_rows(v, input.rows, context);
    }
    result.blocks.push_back({.k = std::move(k), .v = std::move(v)});
  }
  return result;
}

}  // namespace mxvideo::models
