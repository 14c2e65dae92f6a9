// The largest magnitude of a block magnitude as integers, an exact multiplication by a power of
// two, and one floating-point addition that rounds.
#include <algorithm>

#include "formats/e4m3.h"
#include "kernels/quantize_mx/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize_mx/cpu/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kBlock = formats::kMxBlockSize;
// Lanes hold bits of floats without their sign, hence fit a signed integer, which compares faster.
using Tag = hn::CappedTag<int32_t, 16>;
using FloatTag = hn::RebindToFloat<Tag>;
using Vec = hn::Vec<Tag>;

using FloatVec = hn::Vec<FloatTag>;
constexpr int64_t kLanes = hn::MaxLanes(Tag());

constexpr int32_t kMagnitudeMask = 0x7fffffff;
constexpr int32_t kExponentMask = 0x7f800000;
constexpr int32_t kSmallestNormal = (127 - 6) << 23;  // fp32 bits of 2^-6, E4M3's
constexpr int32_t kRebias = (127 - 7) << 3;

// E4M3 codes, without sign and not yet saturated, of elements 0 <= value < 2^9.
HWY_INLINE Vec round_nearest_even(FloatVec value) {
  const Tag d;
  const FloatTag df;
  // The last bit of a float 2^20 times the element's binade is the element's step: adding such a
  // float rounds to it. All subnormals share the binade 2^-6.
  const Vec binade = hn::Max(hn::And(hn::BitCast(d, value), hn::Set(d, kExponentMask)),
                             hn::Set(d, kSmallestNormal));
  const Vec anchor = hn::Add(binade, hn::Set(d, 20 << 23));
  const Vec sum = hn::BitCast(d, hn::Add(value, hn::BitCast(df, anchor)));
  // Steps, of which a normal number has eight for its hidden bit.
  const Vec steps = hn::Sub(sum, anchor);
  return hn::Add(steps, hn::Sub(hn::ShiftRight<20>(binade), hn::Set(d, kRebias + 8)));
}

HWY_INLINE Vec round_half_away(FloatVec value) {
  const Tag d;
  const FloatTag df;
  const Vec bits = hn::BitCast(d, value);
  const Vec rounded = hn::ShiftRight<20>(hn::Add(bits, hn::Set(d, 1 << 19)));
  // floor(v + 1/2) = floor((floor(2v) + 1) / 2), where v counts steps of 2^-9.
  const Vec half_steps = hn::ConvertTo(d, hn::Mul(value, hn::Set(df, 0x1p10f)));
  const Vec subnormal = hn::ShiftRight<1>(hn::Add(half_steps, hn::Set(d, 1)));
  const auto is_subnormal = hn::Lt(bits, hn::Set(d, kSmallestNormal));
  return hn::IfThenElse(is_subnormal, subnormal, hn::Sub(rounded, hn::Set(d, kRebias)));
}

// Elements as bits of floats: of FP32, and of BF16 below.
struct Floats {
  const float* x;

  explicit Floats(const QuantizeMxArgs& args, int64_t first) : x(args.x + first) {}
  void give(QuantizeMxArgs& to) const { to.x = x; }
  HWY_INLINE Vec bits(int64_t i) const { return hn::BitCast(Tag(), hn::LoadU(FloatTag(), x + i)); }
};

struct Bf16s {
  const uint16_t* x;

  explicit Bf16s(const QuantizeMxArgs& args, int64_t first) : x(args.x_bf16 + first) {}
  void give(QuantizeMxArgs& to) const { to.x_bf16 = x; }
  HWY_INLINE Vec bits(int64_t i) const {
    const hn::Rebind<uint16_t, Tag> half;
    return hn::ShiftLeft<16>(hn::PromoteTo(Tag(), hn::LoadU(half, x + i)));
  }
};

// Magnitudes of which the largest is that of the block at `first`.
template <class Elements>
HWY_INLINE Vec magnitudes(const Elements& x, int64_t first) {
  const Tag d;
  Vec largest = hn::Zero(d);
  for (int64_t i = 0; i < kBlock; i += kLanes) {
    largest = hn::Max(largest, hn::And(x.bits(first + i), hn::Set(d, kMagnitudeMask)));
  }
  return largest;
}

// Scale bytes from 11 to 247 are exact here with or without FTZ and DAZ: neither 2^(127 - scale) is
// an fp32 subnormal, nor does an element that is one, before or after scaling, reach half of the
// smallest step, 2^(scale - 137). Zeros are exact at any scale.
template <formats::MxElement kElement>
struct Encoding {
  static constexpr int kSmallestScale = 11, kLargestScale = 254;
  // Exponent byte of the inverse of a scale.
  static constexpr int inverse_exponent(int scale) { return 254 - scale; }

  template <bool kHalfAway>
  static HWY_INLINE Vec codes(Vec bits, FloatVec inverse) {
    const Tag d;
    const Vec magnitude = hn::And(bits, hn::Set(d, kMagnitudeMask));
    const FloatVec value = hn::Mul(hn::BitCast(FloatTag(), magnitude), inverse);
    const Vec rounded = kHalfAway ? round_half_away(value) : round_nearest_even(value);
    const Vec code = hn::Min(rounded, hn::Set(d, formats::kE4m3MaxCode));
    return hn::Or(code, hn::And(hn::ShiftRight<24>(bits), hn::Set(d, 0x80)));
  }
};

// The inverse is that of a step, 2^(133 - scale), normal for scale bytes from 11 to 253. A block of
// zeros has scale byte 0.
template <>
struct Encoding<formats::MxElement::kInt8> {
  static constexpr int kSmallestScale = 11, kLargestScale = 253;
  static constexpr int inverse_exponent(int scale) { return scale == 0 ? 127 : 260 - scale; }

  template <bool kHalfAway>
  static HWY_INLINE Vec codes(Vec bits, FloatVec inverse) {
    const Tag d;
    const FloatTag df;
    const FloatVec value = hn::Mul(hn::BitCast(df, bits), inverse);
    Vec code;
    if constexpr (kHalfAway) {
      const FloatVec whole = hn::Trunc(value);
      const auto goes_up = hn::Ge(hn::Abs(hn::Sub(value, whole)), hn::Set(df, 0.5f));
      const FloatVec step = hn::CopySign(hn::Set(df, 1.0f), value);
      code = hn::ConvertTo(d, hn::Add(whole, hn::IfThenElseZero(goes_up, step)));
    } else {
      code = hn::NearestInt(value);
    }
    const Vec clamped = hn::Max(hn::Min(code, hn::Set(d, 127)), hn::Set(d, -127));
    return hn::And(clamped, hn::Set(d, 0xff));
  }
};

template <formats::MxElement kElement, bool kHalfAway, class Elements>
HWY_NOINLINE void quantize_block(const QuantizeMxArgs& args, int64_t block) {
  using E = Encoding<kElement>;
  const Tag d;
  const hn::Rebind<uint8_t, Tag> d8;
  const Elements x(args, block * kBlock);
  uint8_t* codes = args.codes + block * kBlock;
  const auto amax = static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(d, magnitudes(x, 0))));
  const uint8_t scale = formats::mx_scale_byte(amax, kElement, args.options.scale_rule);
  if ((scale >= E::kSmallestScale && scale <= E::kLargestScale) || amax == 0) {
    const Vec inverse = hn::Set(d, E::inverse_exponent(scale) << 23);
    for (int64_t i = 0; i < kBlock; i += kLanes) {
      const Vec code = E::template codes<kHalfAway>(x.bits(i), hn::BitCast(FloatTag(), inverse));
      hn::StoreU(hn::DemoteTo(d8, code), d8, codes + i);
    }
  } else {
    QuantizeMxArgs one;
    x.give(one);
    one.codes = codes;
    one.scales = args.scales + block;
    one.m = 1;
    one.k = kBlock;
    one.options = args.options;
    quantize_mx_reference(one);
  }
  args.scales[block] = scale;
}

// Blocks whose scales are computed as one vector.
constexpr int64_t kQuad = 4;

#if HWY_TARGET == HWY_SCALAR

template <formats::MxElement kElement, bool kHalfAway, class Elements>
int64_t quantize_quads(const QuantizeMxArgs&, int64_t begin, int64_t) {
  return begin;
}

#else

using QuadTag = hn::CappedTag<int32_t, kQuad>;
using QuadVec = hn::Vec<QuadTag>;

// The largest of the lanes that are a multiple of four apart.
template <class D>
HWY_INLINE QuadVec fold(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(d) == kQuad) {
    return v;
  } else {
    const hn::Half<D> half;
    return fold(half, hn::Max(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

// Lane i: the largest magnitude of the block at first + i · kBlock.
template <class Elements>
HWY_INLINE QuadVec largest_magnitudes(const Elements& x, int64_t first) {
  const QuadTag d;
  const Tag wide;
  QuadVec v[kQuad];
  for (int64_t i = 0; i < kQuad; ++i) v[i] = fold(wide, magnitudes(x, first + i * kBlock));
  const auto pair = [d](QuadVec a, QuadVec b) {
    return hn::Max(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b));
  };
  const QuadVec low = pair(v[0], v[1]), high = pair(v[2], v[3]);
  return hn::Max(hn::ConcatLowerLower(d, high, low), hn::ConcatUpperUpper(d, high, low));
}

// The low bytes of a, b, c and d one behind the other.
HWY_INLINE void store_low_bytes(Vec a, Vec b, Vec c, Vec d, uint8_t* out) {
  const hn::Repartition<int16_t, Tag> d16;
  const hn::Repartition<uint8_t, Tag> d8;
  // In each 128 bits: a and b, of which every second byte is zero; c and d go there.
  const auto ab = hn::ReorderDemote2To(d16, a, b);
  const auto cd = hn::ReorderDemote2To(d16, c, d);
  const auto mixed = hn::BitCast(d8, hn::Or(ab, hn::ShiftLeft<8>(cd)));
  alignas(16) static constexpr uint8_t kApart[16] = {0, 2, 4, 6, 8, 10, 12, 14,
                                                     1, 3, 5, 7, 9, 11, 13, 15};
  const auto parts = hn::BitCast(Tag(), hn::TableLookupBytes(mixed, hn::LoadDup128(d8, kApart)));
  if constexpr (kLanes == 4) {
    hn::StoreU(hn::BitCast(d8, parts), d8, out);
  } else {
    alignas(64) static constexpr int32_t kInOrder16[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                           2, 6, 10, 14, 3, 7, 11, 15};
    alignas(64) static constexpr int32_t kInOrder8[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    const int32_t* order = kLanes == 16 ? kInOrder16 : kInOrder8;
    const auto in_order = hn::TableLookupLanes(parts, hn::SetTableIndices(Tag(), order));
    hn::StoreU(hn::BitCast(d8, in_order), d8, out);
  }
}

// The scales of `count` blocks, a multiple of kQuad, and the bits of their inverses, until a quad
// has one that is not exact here; returns how many were done.
template <formats::MxElement kElement, class Elements>
HWY_INLINE int64_t find_scales(const Elements& x, int64_t count, formats::ScaleRule rule,
                               uint8_t* HWY_RESTRICT scales, int32_t* HWY_RESTRICT inverses) {
  using E = Encoding<kElement>;
  const QuadTag d;
  const hn::Rebind<uint8_t, QuadTag> d8;
  const auto carry = hn::Set(d, static_cast<int32_t>(formats::scale_rule_carry(kElement, rule)));
  for (int64_t block = 0; block < count; block += kQuad) {
    const QuadVec amax = largest_magnitudes(x, block * kBlock);
    // As formats::mx_scale_byte().
    const QuadVec scale =
        hn::Sub(hn::ShiftRight<23>(hn::Add(amax, carry)), hn::Set(d, formats::mx_emax(kElement)));
    const auto finite = hn::Lt(amax, hn::Set(d, kExponentMask));
    const auto exact = hn::Eq(scale, hn::Max(hn::Min(scale, hn::Set(d, E::kLargestScale)),
                                             hn::Set(d, E::kSmallestScale)));
    if (HWY_UNLIKELY(!hn::AllTrue(d, hn::And(finite, exact)))) return block;
    hn::StoreU(hn::DemoteTo(d8, scale), d8, scales + block);
    const QuadVec exponent = hn::Sub(hn::Set(d, E::inverse_exponent(1) + 1), scale);
    hn::StoreU(hn::ShiftLeft<23>(exponent), d, inverses + block);
  }
  return count;
}

template <formats::MxElement kElement, bool kHalfAway, class Elements>
HWY_INLINE void encode_blocks(const Elements& x, int64_t count,
                              const int32_t* HWY_RESTRICT inverses, uint8_t* HWY_RESTRICT codes) {
  const auto encoded = [&](int64_t i) {
    const Vec inverse = hn::Set(Tag(), inverses[i / kBlock]);
    return Encoding<kElement>::template codes<kHalfAway>(x.bits(i),
                                                         hn::BitCast(FloatTag(), inverse));
  };
  for (int64_t i = 0; i < count * kBlock; i += 4 * kLanes) {
    store_low_bytes(encoded(i), encoded(i + kLanes), encoded(i + 2 * kLanes),
                    encoded(i + 3 * kLanes), codes + i);
  }
}

// From block `begin` on until one has a scale that is not exact here, or fewer than kQuad are left;
// returns the first that was not done. All scales of a stretch come before its codes, as each
// waits long for the largest magnitude. No calls here, which would have constants loaded again.
template <formats::MxElement kElement, bool kHalfAway, class Elements>
HWY_NOINLINE int64_t quantize_quads(const QuantizeMxArgs& args, int64_t begin, int64_t end) {
  constexpr int64_t kStretch = 64;  // blocks: 8 KiB, which stay in L1
  int32_t inverses[kStretch];
  for (int64_t block = begin; end - block >= kQuad;) {
    const int64_t count = HWY_MIN(kStretch, (end - block) / kQuad * kQuad);
    const Elements x(args, block * kBlock);
    const int64_t done =
        find_scales<kElement>(x, count, args.options.scale_rule, args.scales + block, inverses);
    encode_blocks<kElement, kHalfAway>(x, done, inverses, args.codes + block * kBlock);
    block += done;
    if (done < count) return block;
  }
  return end - (end - begin) % kQuad;
}

#endif

template <formats::MxElement kElement, bool kHalfAway, class Elements>
void quantize_blocks(const QuantizeMxArgs& args) {
  const int64_t blocks = args.m * (args.k / kBlock);
  for (int64_t block = 0; block < blocks;) {
    block = quantize_quads<kElement, kHalfAway, Elements>(args, block, blocks);
    const int64_t end = std::min(block + kQuad, blocks);
    for (; block < end; ++block) quantize_block<kElement, kHalfAway, Elements>(args, block);
  }
}

template <class Elements>
void quantize_elements(const QuantizeMxArgs& args) {
  using formats::MxElement;
  const bool half_away = args.options.rounding == formats::ElementRounding::kHalfAway;
  if (args.options.element == MxElement::kInt8) {
    if (half_away) return quantize_blocks<MxElement::kInt8, true, Elements>(args);
    return quantize_blocks<MxElement::kInt8, false, Elements>(args);
  }
  if (half_away) return quantize_blocks<MxElement::kE4m3, true, Elements>(args);
  quantize_blocks<MxElement::kE4m3, false, Elements>(args);
}

void quantize(const QuantizeMxArgs& args) {
  if (args.x_bf16 != nullptr) return quantize_elements<Bf16s>(args);
  quantize_elements<Floats>(args);
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(quantize);

void quantize_mx_highway(const QuantizeMxArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(quantize)(args);
}

}  // namespace mxvideo::kernels
#endif
