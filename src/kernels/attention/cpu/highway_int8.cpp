// Attention of quantized queries, keys and values (int8.h) for one thread: both products multiply
// integers of 16 bits and add pairs of them exactly in 32 bits.
//
// As in highway.cpp a register tile is kTileRows × 2 vectors fed by broadcasts, but what is
// broadcast and each lane are a pair of elements that lie side by side:
//   scoresᵀ[key][query] = K · Qᵀ       pairs along head_dim, Q packed as [head_dim / 2][queries][2]
//   out[query][d]      += weights · V  pairs along the keys, V packed as [keys / 2][d][2]
// The weights of a block are relative to the largest score of that block, not of all before it, so
// that a block far below it keeps its 14 bits. Expected bound: integer multiplies, as many elements
// at a time as two FMA. Integer sums are exact; the few of floats are ascending in keys, so bits
// depend on shapes only.
#define HWY_WANT_AVX3_DL  // a target of its own for AVX-512 with VNNI
#include <cstring>

#include "kernels/attention/int8.h"
#include "kernels/attention/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/cpu/highway_int8.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/attention/cpu/flash-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

using Int32Tag = hn::RebindToSigned<FloatTag>;
using Int32Vec = hn::Vec<Int32Tag>;

#if HWY_TARGET == HWY_SCALAR
struct Pairs {
  int32_t even, odd;
};
HWY_INLINE Pairs load_pairs(const int16_t* p) { return {p[0], p[1]}; }
HWY_INLINE void add_products(Pairs a, Pairs b, Int32Vec& sum, Int32Vec& /*other*/) {
  sum = hn::Set(Int32Tag(), hn::GetLane(sum) + a.even * b.even + a.odd * b.odd);
}
HWY_INLINE Pairs repeat_pair(const int16_t* p) { return load_pairs(p); }
HWY_INLINE Int32Vec total(Int32Vec sum, Int32Vec /*other*/) { return sum; }
#else
using Int16Tag = hn::Repartition<int16_t, Int32Tag>;
using Pairs = hn::Vec<Int16Tag>;
HWY_INLINE Pairs load_pairs(const int16_t* p) { return hn::Load(Int16Tag(), p); }
HWY_INLINE Pairs repeat_pair(const int16_t* p) {
  int32_t pair;
  std::memcpy(&pair, p, sizeof(pair));
  return hn::BitCast(Int16Tag(), hn::Set(Int32Tag(), pair));
}
// `other` serves targets that do not add neighbours.
HWY_INLINE void add_products(Pairs a, Pairs b, Int32Vec& sum, [[maybe_unused]] Int32Vec& other) {
#if HWY_TARGET == HWY_AVX3_DL && HWY_COMPILER_GCC_ACTUAL
  // What Highway 1.0 does in two instructions.
  asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
#else
  sum = hn::ReorderWidenMulAccumulate(Int32Tag(), a, b, sum, other);
#if HWY_ARCH_X86 && HWY_COMPILER_GCC_ACTUAL
  // Added now: left alone, GCC 12 collects the products of a whole tile first, and spills.
  asm volatile("" : "+v"(sum.raw));
#endif
#endif
}
HWY_INLINE Int32Vec total(Int32Vec sum, Int32Vec other) {
  return hn::RearrangeToOddPlusEven(sum, other);
}
#endif

// A register tile of sums over pairs.
template <int64_t kRows>
class PairTile {
 public:
  HWY_INLINE PairTile() {
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kRows; ++i) {
      sums_[i][0] = sums_[i][1] = others_[i][0] = others_[i][1] = hn::Zero(Int32Tag());
    }
  }

  // Adds the products of the pair at factors[i · stride], for row i, with 2 · lanes() pairs.
  HWY_INLINE void add(const int16_t* factors, int64_t stride, const int16_t* columns) {
    const Pairs columns0 = load_pairs(columns);
    const Pairs columns1 = load_pairs(columns + 2 * lanes());
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kRows; ++i) {
      const Pairs factor = repeat_pair(factors + i * stride);
      add_products(factor, columns0, sums_[i][0], others_[i][0]);
      add_products(factor, columns1, sums_[i][1], others_[i][1]);
    }
  }

  HWY_INLINE FloatVec sum(int64_t row, int64_t column) const {
    return hn::ConvertTo(FloatTag(), total(sums_[row][column], others_[row][column]));
  }

 private:
  Int32Vec sums_[kRows][2];
  Int32Vec others_[kRows][2];
};

// Scores to codes of weights relative to the largest score of the block, for a vector of queries:
// row i takes the weights of keys 2i and 2i + 1, side by side. Returns the sum of the codes.
FloatVec soften_queries(const Block& b, float* scores, FloatVec largest) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const FloatVec one = hn::Set(d, kLargestWeightCode);
  const FloatVec round = hn::Set(d, kRoundToInteger);
  const auto low = hn::Set(du, 0xffff);
  FloatVec sum = hn::Zero(d);
  for (int64_t key = 0; key < b.keys; key += 2) {
    const float* even = scores + key * kAttentionQueryBlock;
    const FloatVec weight = exp_clamped(hn::Sub(hn::Load(d, even), largest));
    const FloatVec code = hn::MulAdd(weight, one, round);
    sum = hn::Add(sum, hn::Sub(code, round));
    auto pair = hn::And(hn::BitCast(du, code), low);
    if (key + 1 < b.keys) {
      const FloatVec odd = hn::Load(d, even + kAttentionQueryBlock);
      const FloatVec odd_code = hn::MulAdd(exp_clamped(hn::Sub(odd, largest)), one, round);
      sum = hn::Add(sum, hn::Sub(odd_code, round));
      pair = hn::Or(pair, hn::ShiftLeft<16>(hn::BitCast(du, odd_code)));
    }
    hn::Store(hn::BitCast(d, pair), d, scores + key / 2 * kAttentionQueryBlock);
  }
  return sum;
}

class Int8Products {
 public:
  static constexpr AttentionProducts kProducts = AttentionProducts::kInt8;

  Int8Products(const AttentionBlock& args, const PackedKeyValues& layout, int64_t block)
      : k_(reinterpret_cast<const int16_t*>(args.packed + layout.k_offset(block))),
        k_scale_(reinterpret_cast<const float*>(args.packed + layout.k_scale_offset(block))),
        v_(reinterpret_cast<const int16_t*>(args.packed + layout.v_offset(block))),
        v_scale_(reinterpret_cast<const float*>(args.packed + layout.v_scale_offset(block))),
        k_width_(layout.k_width()) {}

  // Queries as [query_panels, k_width / 2, kPanel, 2]; their scales include that of the scores.
  static void pack_queries(const AttentionBlock& args, const PackedKeyValues& layout,
                           const Block& b) {
    const int64_t k_width = layout.k_width();
    auto* const packed = reinterpret_cast<int16_t*>(b.q);
    std::fill_n(packed, b.query_panels * kPanel * k_width, int16_t{0});
    std::fill_n(b.q_scale, kAttentionQueryBlock, 0.0f);
    for (int64_t query = 0; query < b.queries; ++query) {
      const float* q = args.q + query * args.q_stride;
      const IntegerQuantizer quantize = query_quantizer(q, b.head_dim);
      b.q_scale[query] = quantize.scale() * args.scale;
      int16_t* column = packed + query / kPanel * kPanel * k_width + query % kPanel * 2;
      for (int64_t d = 0; d < b.head_dim; ++d) {
        column[d / 2 * 2 * kPanel + d % 2] = quantize(q[d]);
      }
    }
  }

  // Scores of kTileRows keys against one panel of queries.
  void score_tile(const Block& b, int64_t panel, int64_t key) const {
    const FloatTag d;
    PairTile<kTileRows> tile;
    const int16_t* k = k_ + key * k_width_;
    const int16_t* q = reinterpret_cast<const int16_t*>(b.q) + panel * kPanel * k_width_;
    for (int64_t t = 0; t < k_width_; t += 2) tile.add(k + t, k_width_, q + t * kPanel);
    const float* q_scale = b.q_scale + panel * kPanel;
    float* scores = b.weights + key * kAttentionQueryBlock + panel * kPanel;
    const FloatVec scale0 = hn::Load(d, q_scale);
    const FloatVec scale1 = hn::Load(d, q_scale + lanes());
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kTileRows; ++i) {
      const FloatVec k_scale = hn::Set(d, k_scale_[key + i]);
      float* row = scores + i * kAttentionQueryBlock;
      hn::Store(hn::Mul(tile.sum(i, 0), hn::Mul(k_scale, scale0)), d, row);
      hn::Store(hn::Mul(tile.sum(i, 1), hn::Mul(k_scale, scale1)), d, row + lanes());
    }
  }

  // Scores to weights; updates largest, sum, decay and gain.
  static void soften(const Block& b) {
    const FloatTag d;
    for (int64_t query = 0; query < b.query_panels * kPanel; query += lanes()) {
      float* scores = b.weights + query;
      const FloatVec of_block = largest_score(b, scores, hn::Set(d, -FLT_MAX));
      const FloatVec before = hn::Load(d, b.largest + query);
      const FloatVec largest = hn::Max(before, of_block);
      const FloatVec decay = exp_clamped(hn::Sub(before, largest));
      const FloatVec gain = exp_clamped(hn::Sub(of_block, largest));
      const FloatVec sum = soften_queries(b, scores, of_block);
      hn::Store(hn::MulAdd(hn::Load(d, b.sum + query), decay, hn::Mul(sum, gain)), d,
                b.sum + query);
      hn::Store(largest, d, b.largest + query);
      hn::Store(decay, d, b.decay + query);
      hn::Store(gain, d, b.gain + query);
    }
  }

  // out[query][0, kPanel) = out · decay + gain · Σ_key weight · V for kRows queries from `query`
  // on.
  template <int64_t kRows>
  void value_tile(const Block& b, int64_t query, int64_t column) const {
    const FloatTag d;
    PairTile<kRows> tile;
    const int16_t* v = v_ + column / kMaxPanel * b.panel_keys * kMaxPanel + column % kMaxPanel * 2;
    const float* v_scale = v_scale_ + column;
    float* out = b.out + query * b.out_width + column;
    const auto* weights = reinterpret_cast<const int16_t*>(b.weights + query);
    for (int64_t pair = 0; pair < (b.keys + 1) / 2; ++pair) {
      tile.add(weights + pair * 2 * kAttentionQueryBlock, 2, v + pair * 2 * kMaxPanel);
    }
    const FloatVec scale0 = hn::Load(d, v_scale);
    const FloatVec scale1 = hn::Load(d, v_scale + lanes());
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kRows; ++i) {
      const FloatVec decay = hn::Set(d, b.decay[query + i]);
      const FloatVec gain = hn::Set(d, b.gain[query + i]);
      float* row = out + i * b.out_width;
      const FloatVec new0 = hn::Mul(tile.sum(i, 0), hn::Mul(gain, scale0));
      const FloatVec new1 = hn::Mul(tile.sum(i, 1), hn::Mul(gain, scale1));
      hn::Store(hn::MulAdd(hn::Load(d, row), decay, new0), d, row);
      hn::Store(hn::MulAdd(hn::Load(d, row + lanes()), decay, new1), d, row + lanes());
    }
  }

 private:
  const int16_t* k_;      // [keys rounded up to kTileRows, k_width], zeros behind the last key
  const float* k_scale_;  // [the same keys]
  const int16_t* v_;      // [padded width / kMaxPanel, panel_keys / 2, kMaxPanel, 2], likewise
  const float* v_scale_;  // [padded width]
  int64_t k_width_;       // head_dim rounded up to pairs
};

void attention_int8_block_kernel(const AttentionBlock& args) { attend_block<Int8Products>(args); }

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(attention_int8_block_kernel);

void attention_int8_highway(const AttentionBlock& args) noexcept {
  HWY_DYNAMIC_DISPATCH(attention_int8_block_kernel)(args);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
