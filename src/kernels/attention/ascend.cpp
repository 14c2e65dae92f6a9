// aclnnFusedInferAttentionScoreV5 on BF16 queries, keys and values: norms, rotary embedding and the
// result are each rounded to BF16. What it does not take (a bias by relative position, heads of an
// odd size) is scores, softmax and values by operators of their own in fp32, some queries at a
// time, rounded once at the end.
#include "kernels/rope/ascend.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "kernels/attention/rows.h"
#include "kernels/common/npu.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kMostHeadDim = 256;
constexpr int64_t kHeadDimGrain = 16;
constexpr int64_t kScoreBytes = int64_t{256} << 20;
constexpr int64_t kAllTokens = std::numeric_limits<int32_t>::max();

// One call; views are [1, length, heads, head_dim] or [heads, length, head_dim].
class NpuAttention {
 public:
  NpuAttention(const AttentionArgs& args, Context& context) : args_(args), npu_(context) {}
  void run();

 private:
  bool fused() const {
    return args_.relative_bias == nullptr && args_.head_dim <= kMostHeadDim &&
           args_.head_dim % kHeadDimGrain == 0;
  }
  int64_t keys() const { return args_.kv_length + args_.last_key_count - 1; }
  int64_t width() const { return args_.heads * args_.head_dim; }
  // Dense BF16 rows, normed and rotated.
  AclView operand(const DevicePtr<const float>& x, int64_t length, int64_t stride,
                  const AttentionNorm& norm);
  AclView rope_table(const DevicePtr<const float>& table, int64_t length);
  // With the last row as often as it counts.
  AclView repeated_last(const AclView& x);
  void run_fused(const AclView& q, const AclView& k, const AclView& v, const AclView& y);
  void run_composed(const AclView& q, const AclView& k, const AclView& v, const AclView& y);
  // [heads, length, head_dim] FP32 of BF16 rows.
  AclView by_heads(const AclView& x);
  // [heads, q_length, kv_length] of the diagonals that the arguments hold.
  AclView whole_bias();

  const AttentionArgs& args_;
  Npu npu_;
  struct Table {
    const float* from;
    int64_t length;
    AclView view;
  };
  std::vector<Table> tables_;  // of q and k, which may be the same
};

AclView NpuAttention::rope_table(const DevicePtr<const float>& table, int64_t length) {
  for (const Table& made : tables_) {
    if (made.from == table.get() && made.length == length) return made.view;
  }
  const AclView view = rope_table_ascend(npu_, table, length, args_.head_dim, AclType::kBf16);
  tables_.push_back({table.get(), length, view});
  return view;
}

AclView NpuAttention::operand(const DevicePtr<const float>& x, int64_t length, int64_t stride,
                              const AttentionNorm& norm) {
  AclView rows = npu_rows(x, length, width(), stride);
  if (rows.type != AclType::kBf16 || !rows.dense()) {
    const AclView dense = npu_.temporary(AclType::kBf16, {length, width()});
    npu_.copy(rows, dense);
    rows = dense;
  }
  if (norm.weight != nullptr) {
    const AclView normed = npu_.temporary(AclType::kBf16, {length, width()});
    const AclView deviation = npu_.temporary(AclType::kFloat, {length, 1});
    npu_.run(npu_.cann().RmsNorm, in(rows), in(npu_view(norm.weight, {width()})),
             static_cast<double>(norm.epsilon), out(normed), out(deviation));
    rows = normed;
  }
  AclView heads(rows.data, rows.type, {1, length, args_.heads, args_.head_dim});
  if (norm.weight == nullptr || norm.cos == nullptr) return heads;
  const AclView cos = rope_table(norm.cos, length), sin = rope_table(norm.sin, length);
  const AclView rotated = npu_.temporary_like(heads, heads.type);
  npu_.run(npu_.cann().RotaryPositionEmbedding, in(heads), in(cos), in(sin), kInterleavedRope,
           out(rotated));
  return rotated;
}

AclView NpuAttention::repeated_last(const AclView& x) {
  if (args_.last_key_count == 1) return x;
  const int64_t length = args_.kv_length, more = args_.last_key_count - 1;
  const AclView all = npu_.temporary(x.type, {1, keys(), args_.heads, args_.head_dim});
  const auto rows = [&](const AclView& whole, int64_t first, int64_t count) {
    return AclView(
        static_cast<std::byte*>(whole.data) + first * width() * ascend::type_size(whole.type),
        whole.type, {count, width()});
  };
  npu_.copy(rows(x, 0, length), rows(all, 0, length));
  npu_.copy(rows(x, length - 1, 1), rows(all, length, more));
  return all;
}

void NpuAttention::run_fused(const AclView& q, const AclView& k, const AclView& v,
                             const AclView& y) {
  const ascend::OperatorArgument no(nullptr);
  const auto scale = static_cast<double>(args_.scale);
  npu_.in_type_of(q, y, [&](const AclView& result) {
    const AclView to(result.data, result.type, {1, args_.q_length, args_.heads, args_.head_dim});
    npu_.run(npu_.cann().FusedInferAttentionScoreV5, in(q), ascend::in_list(k), ascend::in_list(v),
             /*pse, mask, lengths*/ no, no, no, no,
             /*quantization*/ no, no, no, no, no, no, no, /*block table, paddings*/ no, no, no,
             /*scales of keys and values*/ no, no, no, no, /*prefixes*/ no, no, no,
             /*rope*/ no, no, no, /*scale of q, sink, starts*/ no, no, no, no, args_.heads, scale,
             kAllTokens, kAllTokens, "BSND", args_.heads, /*sparseMode*/ 0, /*innerPrecise*/ 1,
             /*blockSize*/ 0, /*antiquantMode*/ 0, /*lse*/ false, 0, 0, 0, /*pseType*/ 0, out(to),
             no);
  });
}

AclView NpuAttention::by_heads(const AclView& x) {
  const int64_t length = x.dims[1];
  const int64_t dims[] = {args_.heads, length, args_.head_dim};
  const int64_t strides[] = {args_.head_dim, width(), 1};
  const AclView turned = npu_.temporary(AclType::kFloat, {args_.heads, length, args_.head_dim});
  npu_.copy({x.data, x.type, dims, strides}, turned);
  return turned;
}

AclView NpuAttention::whole_bias() {
  const int64_t q = args_.q_length, kv = args_.kv_length;
  // Row i begins one diagonal earlier than row i - 1: the rows of a view from the last to the
  // first.
  const int64_t dims[] = {args_.heads, q, kv};
  const int64_t strides[] = {q + kv - 1, 1, 1};
  const AclView backwards = npu_.temporary(AclType::kFloat, {args_.heads, q, kv});
  npu_.copy({args_.relative_bias.get(), AclType::kFloat, dims, strides}, backwards);
  std::vector<int32_t> order(static_cast<size_t>(q));
  for (int64_t i = 0; i < q; ++i) order[static_cast<size_t>(i)] = static_cast<int32_t>(q - 1 - i);
  const AclView bias = npu_.temporary(AclType::kFloat, {args_.heads, q, kv});
  const AclView rows = npu_.constants(order);
  npu_.run(npu_.cann().IndexSelect, in(backwards), 1, in(rows), out(bias));
  return bias;
}

void NpuAttention::run_composed(const AclView& q, const AclView& k, const AclView& v,
                                const AclView& y) {
  const int64_t heads = args_.heads, dim = args_.head_dim, kv = keys();
  const AclView all_q = by_heads(q), all_k = by_heads(k), all_v = by_heads(v);
  const int64_t k_dims[] = {heads, dim, kv}, k_strides[] = {kv * dim, 1, dim};
  const AclView turned_k(all_k.data, all_k.type, k_dims, k_strides);
  AclView bias(nullptr, AclType::kFloat, {heads, args_.q_length, kv});
  if (args_.relative_bias != nullptr) bias = whole_bias();
  const int64_t queries = std::clamp<int64_t>(kScoreBytes / (heads * kv * 4), 1, args_.q_length);
  const AclView scores = npu_.temporary(AclType::kFloat, {heads, queries, kv});
  const AclView weights = npu_.temporary(AclType::kFloat, {heads, queries, kv});
  const AclView results = npu_.temporary(AclType::kFloat, {heads, queries, dim});
  for (int64_t first = 0; first < args_.q_length; first += queries) {
    const int64_t count = std::min(queries, args_.q_length - first);
    const auto part = [&](const AclView& whole, int64_t width) {
      const int64_t dims[] = {heads, count, width};
      const int64_t strides[] = {whole.strides[0], whole.strides[1], 1};
      return AclView(static_cast<float*>(whole.data) + first * width, whole.type, dims, strides);
    };
    const AclView s(scores.data, AclType::kFloat, {heads, count, kv});
    const AclView w(weights.data, AclType::kFloat, {heads, count, kv});
    const AclView r(results.data, AclType::kFloat, {heads, count, dim});
    npu_.run(npu_.cann().Matmul, in(part(all_q, dim)), in(turned_k), out(s), ascend::kKeepDtype);
    if (args_.scale != 1) {
      npu_.run(npu_.cann().Muls, in(s), scalar(args_.scale), out(s));
    }
    if (bias.data != nullptr) npu_.add(s, part(bias, kv), s);
    npu_.run(npu_.cann().Softmax, in(s), 2, out(w));
    npu_.run(npu_.cann().Matmul, in(w), in(all_v), out(r), ascend::kKeepDtype);
    const int64_t to_dims[] = {heads, count, dim}, to_strides[] = {dim, y.strides[0], 1};
    void* const to =
        static_cast<std::byte*>(y.data) + first * y.strides[0] * ascend::type_size(y.type);
    npu_.copy(r, {to, y.type, to_dims, to_strides});
  }
}

void NpuAttention::run() {
  const AclView q = operand(args_.q, args_.q_length, args_.q_stride, args_.q_norm);
  const AclView k = operand(args_.k, args_.kv_length, args_.k_stride, args_.k_norm);
  const AclView v = operand(args_.v, args_.kv_length, args_.kv_stride, {});
  const bool quantizes = args_.mx.codes != nullptr;
  const AclView y = quantizes ? npu_.temporary(AclType::kBf16, {args_.q_length, width()})
                              : npu_rows(args_.out, args_.q_length, width(), args_.out_stride);
  const AclView all_k = repeated_last(k), all_v = repeated_last(v);
  if (fused()) {
    run_fused(q, all_k, all_v, y);
  } else {
    run_composed(q, all_k, all_v, y);
  }
  if (quantizes) npu_.quantize(y, args_.mx);
}

}  // namespace

const char* attention_ascend_reject(const AttentionArgs& args, const RunPolicy&) noexcept {
  if (args.relative_bias != nullptr && args.last_key_count != 1) {
    return "the NPU takes no padded keys beside a relative bias";
  }
  return args.mx.codes != nullptr ? npu_rejects(args.mx.options) : nullptr;
}

void attention_ascend(const AttentionArgs& args, std::byte* /*workspace*/, Context& context) {
  NpuAttention(args, context).run();
}

}  // namespace mxvideo::kernels
