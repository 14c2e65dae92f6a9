// Flash-style attention for one thread (online softmax: Milakov and Gimelshein, arXiv 1805.02867;
// tiling over keys: Dao et al., arXiv 2205.14135), fp32.
//
// A block of queries meets the keys block by block. Both products are register tiles of kTileRows ×
// 2 vectors fed by broadcasts, and neither K nor V is transposed:
//   scoresᵀ[key][query] = K · Qᵀ       K broadcast, Q packed as [head_dim][2 vectors of queries]
//   out[query][d]      += weights · V  weights broadcast, V as it is
// With queries along the lanes, softmax needs no reduction across lanes. The working set of a
// block (head_dim 128: 230 KB) stays in L2. Expected bound: FMA units; on AVX2 a tile takes 12 FMA
// for 8 loads. Order of every sum: ascending in d and in keys, so bits depend on shapes only.
#include <algorithm>
#include <cfloat>

#include "kernels/attention/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/common/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

constexpr int64_t kPanel = 2 * lanes();  // columns of a register tile
static_assert(kAttentionQueryBlock % kPanel == 0 && kMaxPanel % kPanel == 0);
static_assert(kAttentionKeyBlock % kTileRows == 0);

// Where the parts of AttentionArgs::scratch lie, and how much of them this call uses.
struct Block {
  int64_t queries;       // rows of q that exist
  int64_t query_panels;  // panels of kPanel queries, the last one padded with zeros
  int64_t keys;          // that exist in the current block of keys
  int64_t panel_keys;    // rows of a panel of v
  int64_t head_dim;
  int64_t out_width;  // head_dim rounded up to whole panels
  float* q;           // [query_panels, head_dim, kPanel], scaled
  const float* k;     // [keys rounded up to kTileRows, head_dim], zeros behind the last key
  const float* v;     // [padded width / kMaxPanel, panel_keys, kMaxPanel], padded with zeros
  float* weights;     // [keys rounded up to kTileRows, kAttentionQueryBlock]: scores, then weights
  float* out;         // [queries, out_width], not yet divided by `sum`
  float* largest;     // [kAttentionQueryBlock] largest score so far
  float* sum;         // [kAttentionQueryBlock] sum of weights so far
  float* decay;       // [kAttentionQueryBlock] what the last block of keys multiplied `out` by
};

Block lay_out(const AttentionArgs& args) {
  Block b = {};
  b.queries = args.q_length;
  b.query_panels = (args.q_length + kPanel - 1) / kPanel;
  b.head_dim = args.head_dim;
  b.out_width = (args.head_dim + kPanel - 1) / kPanel * kPanel;
  const int64_t keys = attention_key_block(args.head_dim);
  const int64_t wide = (args.head_dim + kMaxPanel - 1) / kMaxPanel * kMaxPanel;
  b.q = args.scratch;
  b.weights = b.q + kAttentionQueryBlock * wide;
  b.out = b.weights + keys * kAttentionQueryBlock;
  b.largest = b.out + kAttentionQueryBlock * wide;
  b.sum = b.largest + kAttentionQueryBlock;
  b.decay = b.sum + kAttentionQueryBlock;
  return b;
}

void start_queries(const AttentionArgs& args, const Block& b) {
  for (int64_t panel = 0; panel < b.query_panels; ++panel) {
    for (int64_t column = 0; column < kPanel; ++column) {
      float* packed = b.q + panel * b.head_dim * kPanel + column;
      const int64_t query = panel * kPanel + column;
      const float* q = args.q + query * args.q_stride;
      const bool exists = query < b.queries;
      for (int64_t d = 0; d < b.head_dim; ++d) packed[d * kPanel] = exists ? q[d] * args.scale : 0;
    }
  }
  std::fill_n(b.out, b.queries * b.out_width, 0.0f);
  std::fill_n(b.largest, kAttentionQueryBlock, -FLT_MAX);
  std::fill_n(b.sum, kAttentionQueryBlock, 0.0f);
}

// Scores of kTileRows keys against one panel of queries.
void score_tile(const Block& b, const float* k, const float* q, float* scores) {
  const FloatTag d;
  FloatVec sums[kTileRows][2];
  MXVIDEO_UNROLL
  for (int64_t i = 0; i < kTileRows; ++i) sums[i][0] = sums[i][1] = hn::Zero(d);
  for (int64_t t = 0; t < b.head_dim; ++t) {
    const FloatVec q0 = hn::Load(d, q + t * kPanel);
    const FloatVec q1 = hn::Load(d, q + t * kPanel + lanes());
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kTileRows; ++i) {
      const FloatVec key = hn::Set(d, k[i * b.head_dim + t]);
      sums[i][0] = hn::MulAdd(key, q0, sums[i][0]);
      sums[i][1] = hn::MulAdd(key, q1, sums[i][1]);
    }
  }
  MXVIDEO_UNROLL
  for (int64_t i = 0; i < kTileRows; ++i) {
    hn::Store(sums[i][0], d, scores + i * kAttentionQueryBlock);
    hn::Store(sums[i][1], d, scores + i * kAttentionQueryBlock + lanes());
  }
}

void score_block(const Block& b) {
  for (int64_t panel = 0; panel < b.query_panels; ++panel) {
    for (int64_t key = 0; key < b.keys; key += kTileRows) {
      score_tile(b, b.k + key * b.head_dim, b.q + panel * b.head_dim * kPanel,
                 b.weights + key * kAttentionQueryBlock + panel * kPanel);
    }
  }
}

void add_relative_bias(const AttentionArgs& args, int64_t first_key, const Block& b) {
  for (int64_t key = 0; key < b.keys; ++key) {
    const float* bias = args.relative_bias + first_key + key + args.q_length - 1;
    float* scores = b.weights + key * kAttentionQueryBlock;
    for (int64_t query = 0; query < b.queries; ++query) scores[query] += bias[-query];
  }
}

// Scores to weights relative to the largest score so far; updates largest, sum and decay.
void soften_block(const Block& b) {
  const FloatTag d;
  for (int64_t query = 0; query < b.query_panels * kPanel; query += lanes()) {
    float* scores = b.weights + query;
    const FloatVec before = hn::Load(d, b.largest + query);
    FloatVec largest = before;
    for (int64_t key = 0; key < b.keys; ++key) {
      largest = hn::Max(largest, hn::Load(d, scores + key * kAttentionQueryBlock));
    }
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
void value_tile(const Block& b, int64_t query, const float* v, float* out) {
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

void add_values(const Block& b) {
  for (int64_t column = 0; column < b.out_width; column += kPanel) {
    const float* v = b.v + column / kMaxPanel * b.panel_keys * kMaxPanel + column % kMaxPanel;
    int64_t query = 0;
    for (; query + kTileRows <= b.queries; query += kTileRows) {
      value_tile<kTileRows>(b, query, v, b.out + query * b.out_width + column);
    }
    for (; query < b.queries; ++query) {
      value_tile<1>(b, query, v, b.out + query * b.out_width + column);
    }
  }
}

// One head, at most kAttentionQueryBlock queries.
void attention_block_kernel(const AttentionArgs& args) {
  Block b = lay_out(args);
  start_queries(args, b);
  const PackedKeyValues layout(args.kv_length, args.head_dim);
  b.panel_keys = layout.keys();
  for (int64_t block = 0; block < layout.blocks(); ++block) {
    const int64_t first = block * layout.keys();
    b.keys = std::min(layout.keys(), args.kv_length - first);
    b.k = args.packed + layout.k_offset(block);
    b.v = args.packed + layout.v_offset(block);
    score_block(b);
    if (args.relative_bias != nullptr) add_relative_bias(args, first, b);
    soften_block(b);
    add_values(b);
  }
  for (int64_t query = 0; query < b.queries; ++query) {
    const float* sums = b.out + query * b.out_width;
    float* out = args.out + query * args.out_stride;
    for (int64_t d = 0; d < b.head_dim; ++d) out[d] = sums[d] / b.sum[query];
  }
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(attention_block_kernel);

void attention_highway(const AttentionArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(attention_block_kernel)(args);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
