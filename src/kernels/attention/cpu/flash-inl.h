// What the Highway rows of attention share: how a block of queries lies in scratch, its running
// softmax and its result. Included once per target, like vector-inl.h.
//
// Flash-style (online softmax: Milakov and Gimelshein, arXiv 1805.02867; tiling over keys: Dao et
// al., arXiv 2205.14135): a block of queries meets the keys block by block. Queries lie along the
// lanes, so softmax needs no reduction across lanes. The working set of a block (head_dim 128:
// 230 KB) stays in L2.
#if defined(MXVIDEO_KERNELS_ATTENTION_CPU_FLASH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MXVIDEO_KERNELS_ATTENTION_CPU_FLASH_INL_H_
#undef MXVIDEO_KERNELS_ATTENTION_CPU_FLASH_INL_H_
#else
#define MXVIDEO_KERNELS_ATTENTION_CPU_FLASH_INL_H_
#endif

#include <algorithm>
#include <cfloat>

#include "kernels/attention/rows.h"
#include "kernels/common/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {

constexpr int64_t kPanel = 2 * lanes();  // columns of a register tile
static_assert(kAttentionQueryBlock % kPanel == 0 && kMaxPanel % kPanel == 0);
static_assert(kAttentionKeyBlock % kTileRows == 0);

// Where the parts of AttentionBlock::scratch lie, and how much of them this call uses.
struct Block {
  int64_t queries;       // rows of q that exist
  int64_t query_panels;  // panels of kPanel queries, the last one padded with zeros
  int64_t keys;          // that exist in the current block of keys
  int64_t panel_keys;    // rows of a panel of v
  int64_t head_dim;
  int64_t out_width;  // head_dim rounded up to whole panels
  float* q;           // the packed queries, kAttentionQueryBlock · padded width of head_dim
  float* weights;     // [keys rounded up to kTileRows, kAttentionQueryBlock]: scores, then weights
  float* out;         // [queries, out_width], not yet divided by `sum`
  float* largest;     // [kAttentionQueryBlock] largest score so far
  float* sum;         // [kAttentionQueryBlock] sum of weights so far
  float* decay;       // [kAttentionQueryBlock] what the last block of keys multiplied `out` by
  float* gain;        // [kAttentionQueryBlock] and its own weights, where they are relative to it
  float* q_scale;     // [kAttentionQueryBlock] of quantized queries
};

inline Block lay_out(const AttentionBlock& args) {
  Block b = {};
  b.queries = args.q_length;
  b.query_panels = (args.q_length + kPanel - 1) / kPanel;
  b.head_dim = args.head_dim;
  b.out_width = (args.head_dim + kPanel - 1) / kPanel * kPanel;
  const int64_t keys = attention_key_block(args.head_dim);
  const int64_t wide = (args.head_dim + kMaxPanel - 1) / kMaxPanel * kMaxPanel;
  b.panel_keys = keys;
  b.q = args.scratch;
  b.weights = b.q + kAttentionQueryBlock * wide;
  b.out = b.weights + keys * kAttentionQueryBlock;
  b.largest = b.out + kAttentionQueryBlock * wide;
  b.sum = b.largest + kAttentionQueryBlock;
  b.decay = b.sum + kAttentionQueryBlock;
  b.gain = b.decay + kAttentionQueryBlock;
  b.q_scale = b.gain + kAttentionQueryBlock;
  return b;
}

inline void start_sums(const Block& b) {
  std::fill_n(b.out, b.queries * b.out_width, 0.0f);
  std::fill_n(b.largest, kAttentionQueryBlock, -FLT_MAX);
  std::fill_n(b.sum, kAttentionQueryBlock, 0.0f);
}

inline void add_relative_bias(const AttentionBlock& args, int64_t first_key, const Block& b) {
  for (int64_t key = 0; key < b.keys; ++key) {
    const float* bias = args.relative_bias + first_key + key + args.q_length - 1;
    float* scores = b.weights + key * kAttentionQueryBlock;
    for (int64_t query = 0; query < b.queries; ++query) scores[query] += bias[-query];
  }
}

// A weight of exp(score) that counts n times is exp(score + log n).
inline void add_last_key_bias(const AttentionBlock& args, const Block& b) {
  float* scores = b.weights + (b.keys - 1) * kAttentionQueryBlock;
  for (int64_t query = 0; query < b.queries; ++query) scores[query] += args.last_key_bias;
}

// The largest of `start` and the scores of the block, for a vector of queries.
HWY_INLINE FloatVec largest_score(const Block& b, const float* scores, FloatVec start) {
  const FloatTag d;
  for (int64_t key = 0; key < b.keys; ++key) {
    start = hn::Max(start, hn::Load(d, scores + key * kAttentionQueryBlock));
  }
  return start;
}

inline void finish(const AttentionBlock& args, const Block& b) {
  for (int64_t query = 0; query < b.queries; ++query) {
    const float* sums = b.out + query * b.out_width;
    float* out = args.out + query * args.out_stride;
    for (int64_t d = 0; d < b.head_dim; ++d) out[d] = sums[d] / b.sum[query];
  }
}

// One head, at most kAttentionQueryBlock queries. `Products` says what is multiplied and how; an
// object of it is a block of keys as packed:
//   static constexpr AttentionProducts kProducts
//   static void pack_queries(args, layout, block)      to block.q
//   Products(args, layout, index of the block)
//   void score_tile(block, panel, key) const           kTileRows keys against a panel of queries
//   static void soften(block)                          scores to weights; the running statistics
//   void value_tile<rows>(block, query, column) const  adds to kPanel columns of that many queries
template <class Products>
void attend_block(const AttentionBlock& args) {
  Block b = lay_out(args);
  const PackedKeyValues layout(args.kv_length, args.head_dim, Products::kProducts);
  start_sums(b);
  Products::pack_queries(args, layout, b);
  for (int64_t block = 0; block < layout.blocks(); ++block) {
    const int64_t first = block * layout.keys();
    b.keys = std::min(layout.keys(), args.kv_length - first);
    const Products keys(args, layout, block);
    for (int64_t panel = 0; panel < b.query_panels; ++panel) {
      for (int64_t key = 0; key < b.keys; key += kTileRows) keys.score_tile(b, panel, key);
    }
    if (args.relative_bias != nullptr) add_relative_bias(args, first, b);
    if (block + 1 == layout.blocks()) add_last_key_bias(args, b);
    Products::soften(b);
    for (int64_t column = 0; column < b.out_width; column += kPanel) {
      int64_t query = 0;
      for (; query + kTileRows <= b.queries; query += kTileRows) {
        keys.template value_tile<kTileRows>(b, query, column);
      }
      for (; query < b.queries; ++query) keys.template value_tile<1>(b, query, column);
    }
  }
  finish(args, b);
}

}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
