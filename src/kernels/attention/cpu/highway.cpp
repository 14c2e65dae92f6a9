// Attention in fp32 for one thread.
//
// Both products are register tiles of kTileRows × 2 vectors fed by broadcasts, and neither K nor V
// is transposed:
//   scoresᵀ[key][query] = K · Qᵀ       K broadcast, Q packed as [head_dim][2 vectors of queries]
//   out[query][d]      += weights · V  weights broadcast, V as it is
// Expected bound: FMA units; on AVX2 a tile takes 12 FMA for 8 loads. Order of every sum: ascending
// in d and in keys, so bits depend on shapes only.
#include "kernels/attention/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/cpu/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/attention/cpu/flash-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

class Fp32Products {
 public:
  static constexpr AttentionProducts kProducts = AttentionProducts::kFp32;

  Fp32Products(const AttentionBlock& args, const PackedKeyValues& layout, int64_t block)
      : k_(reinterpret_cast<const float*>(args.packed + layout.k_offset(block))),
        v_(reinterpret_cast<const float*>(args.packed + layout.v_offset(block))) {}

  // Queries as [query_panels, head_dim, kPanel], scaled.
  static void pack_queries(const AttentionBlock& args, const PackedKeyValues& /*layout*/,
                           const Block& b) {
    for (int64_t panel = 0; panel < b.query_panels; ++panel) {
      for (int64_t column = 0; column < kPanel; ++column) {
        float* packed = b.q + panel * b.head_dim * kPanel + column;
        const int64_t query = panel * kPanel + column;
        const float* q = args.q + query * args.q_stride;
        const bool exists = query < b.queries;
        for (int64_t d = 0; d < b.head_dim; ++d)
          packed[d * kPanel] = exists ? q[d] * args.scale : 0;
      }
    }
  }

  // Scores of kTileRows keys against one panel of queries.
  void score_tile(const Block& b, int64_t panel, int64_t key) const {
    const float* k = k_ + key * b.head_dim;
    const float* q = b.q + panel * b.head_dim * kPanel;
    float* scores = b.weights + key * kAttentionQueryBlock + panel * kPanel;
    const FloatTag d;
    FloatVec sums[kTileRows][2];
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kTileRows; ++i) sums[i][0] = sums[i][1] = hn::Zero(d);
    for (int64_t t = 0; t < b.head_dim; ++t) {
      const FloatVec q0 = hn::Load(d, q + t * kPanel);
      const FloatVec q1 = hn::Load(d, q + t * kPanel + lanes());
      MXVIDEO_UNROLL
      for (int64_t i = 0; i < kTileRows; ++i) {
        const FloatVec repeated = hn::Set(d, k[i * b.head_dim + t]);
        sums[i][0] = hn::MulAdd(repeated, q0, sums[i][0]);
        sums[i][1] = hn::MulAdd(repeated, q1, sums[i][1]);
      }
    }
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kTileRows; ++i) {
      hn::Store(sums[i][0], d, scores + i * kAttentionQueryBlock);
      hn::Store(sums[i][1], d, scores + i * kAttentionQueryBlock + lanes());
    }
  }

  // Scores to weights relative to the largest score so far; updates largest, sum and decay.
  static void soften(const Block& b) {
    const FloatTag d;
    for (int64_t query = 0; query < b.query_panels * kPanel; query += lanes()) {
      float* scores = b.weights + query;
      const FloatVec before = hn::Load(d, b.largest + query);
      const FloatVec largest = largest_score(b, scores, before);
      const FloatVec decay = exp_clamped(hn::Sub(before, largest));
      FloatVec sum = hn::Mul(hn::Load(d, b.sum + query), decay);
      for (int64_t key = 0; key < b.keys; ++key) {
        float* score = scores + key * kAttentionQueryBlock;
        const FloatVec weight = exp_clamped(hn::Sub(hn::Load(d, score), largest));
        hn::Store(weight, d, score);
        sum = hn::Add(sum, weight);
      }
      hn::Store(largest, d, b.largest + query);
      hn::Store(decay, d, b.decay + query);
      hn::Store(sum, d, b.sum + query);
    }
  }

  // out[query][0, kPanel) = out · decay + Σ_key weight · V for kRows queries from `query` on.
  template <int64_t kRows>
  void value_tile(const Block& b, int64_t query, int64_t column) const {
    const float* v = v_ + column / kMaxPanel * b.panel_keys * kMaxPanel + column % kMaxPanel;
    float* out = b.out + query * b.out_width + column;
    const FloatTag d;
    FloatVec sums[kRows][2];
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kRows; ++i) {
      const FloatVec decay = hn::Set(d, b.decay[query + i]);
      sums[i][0] = hn::Mul(decay, hn::Load(d, out + i * b.out_width));
      sums[i][1] = hn::Mul(decay, hn::Load(d, out + i * b.out_width + lanes()));
    }
    const float* weights = b.weights + query;
    for (int64_t key = 0; key < b.keys; ++key) {
      const FloatVec v0 = hn::Load(d, v + key * kMaxPanel);
      const FloatVec v1 = hn::Load(d, v + key * kMaxPanel + lanes());
      MXVIDEO_UNROLL
      for (int64_t i = 0; i < kRows; ++i) {
        const FloatVec weight = hn::Set(d, weights[key * kAttentionQueryBlock + i]);
        sums[i][0] = hn::MulAdd(weight, v0, sums[i][0]);
        sums[i][1] = hn::MulAdd(weight, v1, sums[i][1]);
      }
    }
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kRows; ++i) {
      hn::Store(sums[i][0], d, out + i * b.out_width);
      hn::Store(sums[i][1], d, out + i * b.out_width + lanes());
    }
  }

 private:
  const float* k_;  // [keys rounded up to kTileRows, head_dim], zeros behind the last key
  const float* v_;  // [padded width / kMaxPanel, panel_keys, kMaxPanel], padded with zeros
};

void attention_block_kernel(const AttentionBlock& args) { attend_block<Fp32Products>(args); }

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(attention_block_kernel);

void attention_highway(const AttentionBlock& args) noexcept {
  HWY_DYNAMIC_DISPATCH(attention_block_kernel)(args);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
