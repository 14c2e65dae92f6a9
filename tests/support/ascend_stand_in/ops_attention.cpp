// aclnnFusedInferAttentionScoreV5: BF16 or FP16 in layout BSND, and MXFP8 in layout TND.
//
// Rounding: BF16 in, scores, softmax and sums in double, one rounding to the output. MXFP8: q, k
// and v decode exactly; the document gives no formula for the product with V but names quantScale1
// as the scale of P, so e^(score - largest)·P's scale is rounded to E4M3 and divided by the scale
// again, and the sum that the row is divided by is of unrounded values.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "formats/e4m3.h"
#include "support/ascend_stand_in/executor.h"
#include "support/ascend_stand_in/reference.h"

namespace ascend_stand_in {
namespace {

using Values = std::vector<float>;

constexpr int64_t kAllTokens = 2147483647;
constexpr int64_t kBlock = 32;
// Positions among the operator's inputs.
constexpr size_t kQuery = 0, kKey = 1, kValue = 2, kPScale = 6, kKeyScale = 15, kValueScale = 17,
                 kQueryScale = 24;

struct Attributes {
  int64_t heads, kv_heads;
  double scale;
  int64_t pre, next;
  const char* layout;
  int64_t sparse_mode, inner_precise, block_size, antiquant_mode;
  bool lse;
  int64_t key_mode, value_mode, query_mode, pse_type;
};

struct Tensors {
  const Tensor* q;
  const Tensor* k;
  const Tensor* v;
  const Tensor* p_scale;
  const Tensor* k_scale;
  const Tensor* v_scale;
  const Tensor* q_scale;
  const Tensor* out;
};

void check_attributes(const Plan& plan, const Attributes& a) {
  plan.require(a.heads >= 1, "numHeads is " + std::to_string(a.heads));
  plan.require(a.kv_heads == 0 || a.kv_heads == a.heads,
               "the stand-in has as many heads of keys as of queries, not " +
                   std::to_string(a.kv_heads) + " for " + std::to_string(a.heads));
  plan.require(a.pre == kAllTokens && a.next == kAllTokens,
               "preTokens and nextTokens without a mask are 2147483647");
  plan.require(a.sparse_mode == 0, "sparseMode without a mask is 0");
  plan.require(a.inner_precise >= 0 && a.inner_precise <= 3,
               "innerPrecise is " + std::to_string(a.inner_precise) + ", expected 0 to 3");
  plan.require(a.block_size == 0 && a.antiquant_mode == 0 && a.pse_type == 0 && !a.lse,
               "the stand-in has no paged keys, antiquantMode, pseType or softmaxLse");
}

// Positive and ascending ends of the parts of `tokens` tokens.
void check_ends(const Plan& plan, const Dims& ends, int64_t tokens, const char* name) {
  plan.require(!ends.empty() && ends.back() == tokens && ends.front() >= 0 &&
                   std::is_sorted(ends.begin(), ends.end()),
               std::string(name) + " " + text_of(ends) + " is not the ascending ends of " +
                   std::to_string(tokens) + " tokens");
}

void check_plain(const Plan& plan, const Tensors& t, const Attributes& a) {
  plan.require(std::strcmp(a.layout, "BSND") == 0,
               std::string("the stand-in computes layout BSND here, not ") + a.layout);
  plan.require(a.key_mode == 0 && a.value_mode == 0 && a.query_mode == 0,
               "quantization modes without quantized operands are 0");
  plan.require(
      t.p_scale == nullptr && t.k_scale == nullptr && t.v_scale == nullptr && t.q_scale == nullptr,
      "scales without quantized operands");
  plan.require_type(*t.q, "query", {ACL_BF16, ACL_FLOAT16});
  plan.require_type(*t.k, "key", {t.q->dtype});
  plan.require_type(*t.v, "value", {t.q->dtype});
  plan.require_type(*t.out, "attentionOut", {t.q->dtype});
  plan.require_rank(*t.q, "query", 4, 4);
  plan.require_rank(*t.k, "key", 4, 4);
  const Dims& q = t.q->dims;
  plan.require(q[2] == a.heads,
               "numHeads is " + std::to_string(a.heads) + " and query is " + text_of(q));
  plan.require(q[3] >= 1 && q[3] <= 512,
               "the head dimension is " + std::to_string(q[3]) + ", expected at most 512");
  plan.require(t.k->dims[1] >= 1, "there are no keys");
  plan.require_dims(*t.k, "key", {q[0], t.k->dims[1], q[2], q[3]});
  plan.require_dims(*t.v, "value", t.k->dims);
  plan.require_dims(*t.out, "attentionOut", q);
}

void check_mx(const Plan& plan, const Tensors& t, const Attributes& a, const Dims& q_ends,
              const Dims& kv_ends) {
  plan.require_a5();
  plan.require(std::strcmp(a.layout, "TND") == 0, "MXFP8 is in layout TND only");
  plan.require(a.query_mode == 6 && a.key_mode == 6 && a.value_mode == 8,
               "MXFP8 is queryQuantMode 6, keyAntiquantMode 6 and valueAntiquantMode 8");
  plan.require_type(*t.k, "key", {ACL_FLOAT8_E4M3FN});
  plan.require_type(*t.v, "value", {ACL_FLOAT8_E4M3FN});
  plan.require_type(*t.out, "attentionOut", {ACL_FLOAT16, ACL_BF16});
  plan.require_rank(*t.q, "query", 3, 3);
  plan.require_rank(*t.k, "key", 3, 3);
  const Dims& q = t.q->dims;
  const Dims& k = t.k->dims;
  plan.require(q[1] == a.heads,
               "numHeads is " + std::to_string(a.heads) + " and query is " + text_of(q));
  plan.require(q[2] == 64 || q[2] == 128,
               "the head dimension is " + std::to_string(q[2]) + ", expected 64 or 128");
  plan.require_dims(*t.k, "key", {k[0], q[1], q[2]});
  plan.require_dims(*t.v, "value", k);
  plan.require_dims(*t.out, "attentionOut", q);
  check_ends(plan, q_ends, q[0], "actualSeqLengths");
  check_ends(plan, kv_ends, k[0], "actualSeqLengthsKv");
  plan.require(q_ends.size() == kv_ends.size(), "actualSeqLengths and …Kv have other lengths");
  plan.require(
      k[0] % (2 * kBlock) == 0,
      "V's scales are documented for a multiple of 64 tokens, not " + std::to_string(k[0]));
  // With one head of keys for each of queries, G is 1 and Q_S the longest part.
  int64_t longest = 0;
  for (size_t i = 0; i < q_ends.size(); ++i) {
    longest = std::max(longest, q_ends[i] - (i == 0 ? 0 : q_ends[i - 1]));
  }
  const int64_t pairs = q[2] / 64;
  plan.require_type(*t.q_scale, "dequantScaleQuery", {ACL_FLOAT8_E8M0});
  plan.require_dims(*t.q_scale, "dequantScaleQuery",
                    longest > 80 ? Dims{q[0], q[1], pairs, 2} : Dims{q[1], q[0], 1, pairs, 2});
  plan.require_type(*t.k_scale, "keyAntiquantScale", {ACL_FLOAT8_E8M0});
  plan.require_dims(*t.k_scale, "keyAntiquantScale", {k[0], k[1], pairs, 2});
  plan.require_type(*t.v_scale, "valueAntiquantScale", {ACL_FLOAT8_E8M0});
  plan.require_dims(*t.v_scale, "valueAntiquantScale", {k[0] / 64, k[1], k[2], 2});
  plan.require_type(*t.p_scale, "quantScale1", {ACL_FLOAT});
  plan.require_dims(*t.p_scale, "quantScale1", {1});
}

void compute_plain(const Operands& t, const Attributes& a) {
  const Dims& dims = t.in[kQuery].dims;
  const int64_t keys = t.in[kKey].dims[1];
  const int64_t row = dims[2] * dims[3];
  const Values q = read(t.in[kQuery]);
  const Values k = read(t.in[kKey]);
  const Values v = read(t.in[kValue]);
  Values out(q.size());
  for (int64_t batch = 0; batch < dims[0]; ++batch) {
    reference::attention({.q = q.data() + batch * dims[1] * row,
                          .k = k.data() + batch * keys * row,
                          .v = v.data() + batch * keys * row,
                          .q_length = dims[1],
                          .kv_length = keys,
                          .heads = dims[2],
                          .head_dim = dims[3],
                          .scale = a.scale},
                         out.data() + batch * dims[1] * row);
  }
  write(t.out[0], out);
}

// q or k: [T, N, D] with scales [T, N, D/64, 2], those of few queries as [N, T, 1, D/64, 2].
Values decode_rows(const View& codes, const View& scale_view) {
  Values values = read(codes);
  const Values scales = read(scale_view);
  const int64_t tokens = codes.dims[0];
  const int64_t heads = codes.dims[1];
  const int64_t dim = codes.dims[2];
  const bool heads_first = scale_view.dims.size() == 5;
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    const int64_t head = i / dim % heads;
    const int64_t token = i / dim / heads;
    const int64_t row = heads_first ? head * tokens + token : token * heads + head;
    values[static_cast<size_t>(i)] *=
        scales[static_cast<size_t>(row * (dim / kBlock) + i % dim / kBlock)];
  }
  return values;
}

// v: [T, N, D], quantized along tokens, with scales [T/64, N, D, 2].
Values decode_columns(const View& codes, const View& scale_view) {
  Values values = read(codes);
  const Values scales = read(scale_view);
  const int64_t row = codes.dims[1] * codes.dims[2];
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    const int64_t token = i / row;
    const int64_t pair = token / 64 * row + i % row;
    values[static_cast<size_t>(i)] *= scales[static_cast<size_t>(pair * 2 + token % 64 / kBlock)];
  }
  return values;
}

// One query of one head against the keys [begin, end).
struct MxRow {
  const float* q;
  const float* k;
  const float* v;
  int64_t begin, end;
  int64_t stride;  // between tokens
  int64_t dim;
  double scale, p_scale;
};

void attend(const MxRow& row, float* out) {
  std::vector<double> weights;
  double largest = -INFINITY;
  for (int64_t key = row.begin; key < row.end; ++key) {
    double sum = 0;
    for (int64_t d = 0; d < row.dim; ++d) {
      sum += static_cast<double>(row.q[d]) * row.k[key * row.stride + d];
    }
    weights.push_back(sum * row.scale);
    largest = std::max(largest, weights.back());
  }
  double total = 0;
  for (double& weight : weights) {
    weight = std::exp(weight - largest);
    total += weight;
    const uint8_t code = mxvideo::formats::encode_e4m3(
        static_cast<float>(weight * row.p_scale), mxvideo::formats::ElementRounding::kNearestEven);
    weight = mxvideo::formats::decode_e4m3(code) / row.p_scale;
  }
  for (int64_t d = 0; d < row.dim; ++d) {
    double sum = 0;
    for (int64_t key = row.begin; key < row.end; ++key) {
      sum += weights[static_cast<size_t>(key - row.begin)] * row.v[key * row.stride + d];
    }
    out[d] = static_cast<float>(sum / total);
  }
}

void compute_mx(const Operands& t, double scale, const Dims& q_ends, const Dims& kv_ends) {
  const Values q = decode_rows(t.in[kQuery], t.in[kQueryScale]);
  const Values k = decode_rows(t.in[kKey], t.in[kKeyScale]);
  const Values v = decode_columns(t.in[kValue], t.in[kValueScale]);
  const double p_scale = read(t.in[kPScale])[0];
  const int64_t heads = t.in[kQuery].dims[1];
  const int64_t dim = t.in[kQuery].dims[2];
  Values out(q.size());
  mxvideo::parallel_for(t.in[kQuery].dims[0] * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t token = i / heads;
      const auto part = static_cast<size_t>(std::upper_bound(q_ends.begin(), q_ends.end(), token) -
                                            q_ends.begin());
      const int64_t at = i % heads * dim;
      attend({.q = q.data() + i * dim,
              .k = k.data() + at,
              .v = v.data() + at,
              .begin = part == 0 ? 0 : kv_ends[part - 1],
              .end = kv_ends[part],
              .stride = heads * dim,
              .dim = dim,
              .scale = scale,
              .p_scale = p_scale},
             out.data() + i * dim);
    }
  });
  write(t.out[0], out);
}

void describe(Plan& plan, const Tensors& t, const Attributes& a, const Dims& q_ends,
              const Dims& kv_ends) {
  check_attributes(plan, a);
  for (const Tensor* tensor : {t.q, t.k, t.v, t.out}) {
    plan.require_contiguous(*tensor, "query, key, value or attentionOut");
  }
  plan.workspace(16384);
  if (t.q->dtype == ACL_FLOAT8_E4M3FN) {
    check_mx(plan, t, a, q_ends, kv_ends);
    plan.compute([scale = a.scale, q_ends, kv_ends](const Operands& views) {
      compute_mx(views, scale, q_ends, kv_ends);
    });
  } else {
    check_plain(plan, t, a);
    plan.require(q_ends.empty() && kv_ends.empty(),
                 "the stand-in computes layout BSND without actualSeqLengths");
    plan.compute([a](const Operands& views) { compute_plain(views, a); });
  }
}

}  // namespace

aclnnStatus aclnnFusedInferAttentionScoreV5GetWorkspaceSize(
    const aclTensor* query, const aclTensorList* key, const aclTensorList* value,
    const aclTensor* pse_shift, const aclTensor* atten_mask, const aclIntArray* actual_seq_lengths,
    const aclIntArray* actual_seq_lengths_kv, const aclTensor* deq_scale1,
    const aclTensor* quant_scale1, const aclTensor* deq_scale2, const aclTensor* quant_scale2,
    const aclTensor* quant_offset2, const aclTensor* antiquant_scale,
    const aclTensor* antiquant_offset, const aclTensor* block_table,
    const aclTensor* query_padding_size, const aclTensor* kv_padding_size,
    const aclTensor* key_antiquant_scale, const aclTensor* key_antiquant_offset,
    const aclTensor* value_antiquant_scale, const aclTensor* value_antiquant_offset,
    const aclTensor* key_shared_prefix, const aclTensor* value_shared_prefix,
    const aclIntArray* actual_shared_prefix_len, const aclTensor* query_rope,
    const aclTensor* key_rope, const aclTensor* key_rope_antiquant_scale,
    const aclTensor* dequant_scale_query, const aclTensor* learnable_sink,
    const aclIntArray* q_start_idx, const aclIntArray* kv_start_idx, int64_t num_heads,
    double scale_value, int64_t pre_tokens, int64_t next_tokens, char* input_layout,
    int64_t num_key_value_heads, int64_t sparse_mode, int64_t inner_precise, int64_t block_size,
    int64_t antiquant_mode, bool softmax_lse_flag, int64_t key_antiquant_mode,
    int64_t value_antiquant_mode, int64_t query_quant_mode, int64_t pse_type,
    const aclTensor* attention_out, const aclTensor* softmax_lse, uint64_t* workspace_size,
    aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnFusedInferAttentionScoreV5, [&](Plan& plan) {
    plan.require_absent(
        {pse_shift,
         atten_mask,
         deq_scale1,
         deq_scale2,
         quant_scale2,
         quant_offset2,
         antiquant_scale,
         antiquant_offset,
         block_table,
         query_padding_size,
         kv_padding_size,
         key_antiquant_offset,
         value_antiquant_offset,
         key_shared_prefix,
         value_shared_prefix,
         actual_shared_prefix_len,
         query_rope,
         key_rope,
         key_rope_antiquant_scale,
         learnable_sink,
         q_start_idx,
         kv_start_idx,
         softmax_lse},
        "more than query, key, value, lengths, the scales of MXFP8 and attentionOut");
    if (input_layout == nullptr) refuse(ACLNN_ERR_PARAM_NULLPTR, "inputLayout is null");
    Tensors t{};
    t.q = &plan.input(query, "query");
    const auto keys = plan.inputs(key, "key");
    const auto values = plan.inputs(value, "value");
    plan.require(keys.size() == 1 && values.size() == 1, "the stand-in has lists of one tensor");
    t.k = keys[0];
    t.v = values[0];
    // The others keep their places.
    const auto input_at = [&](size_t position, const aclTensor* handle, const char* name) {
      while (plan.input_count() < position) plan.optional_input(nullptr, "not given");
      return plan.optional_input(handle, name);
    };
    t.p_scale = input_at(kPScale, quant_scale1, "quantScale1");
    t.k_scale = input_at(kKeyScale, key_antiquant_scale, "keyAntiquantScale");
    t.v_scale = input_at(kValueScale, value_antiquant_scale, "valueAntiquantScale");
    t.q_scale = input_at(kQueryScale, dequant_scale_query, "dequantScaleQuery");
    t.out = &plan.output(attention_out, "attentionOut");
    const bool mx = t.q->dtype == ACL_FLOAT8_E4M3FN;
    if (mx && (t.p_scale == nullptr || t.k_scale == nullptr || t.v_scale == nullptr ||
               t.q_scale == nullptr)) {
      refuse(ACLNN_ERR_PARAM_NULLPTR, "MXFP8 needs quantScale1 and the scales of q, k and v");
    }
    const auto ends = [&](const aclIntArray* array, const char* name) {
      return array == nullptr && !mx ? Dims() : plan.integers(array, name);
    };
    const Attributes attributes{num_heads,
                                num_key_value_heads,
                                scale_value,
                                pre_tokens,
                                next_tokens,
                                input_layout,
                                sparse_mode,
                                inner_precise,
                                block_size,
                                antiquant_mode,
                                softmax_lse_flag,
                                key_antiquant_mode,
                                value_antiquant_mode,
                                query_quant_mode,
                                pse_type};
    describe(plan, t, attributes, ends(actual_seq_lengths, "actualSeqLengths"),
             ends(actual_seq_lengths_kv, "actualSeqLengthsKv"));
  });
}
STAND_IN_SECOND_PHASE(aclnnFusedInferAttentionScoreV5)

}  // namespace ascend_stand_in
