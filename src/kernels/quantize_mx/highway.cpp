// One block at a time: the largest magnitude as integers, an exact multiplication by a power of
// two, and one floating-point addition that rounds.
#include "formats/e4m3.h"
#include "kernels/quantize_mx/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize_mx/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kBlock = formats::kMxBlockSize;
// Lanes hold bits of floats without their sign, hence fit a signed integer, which compares faster.
using Tag = hn::CappedTag<int32_t, 16>;
using FloatTag = hn::RebindToFloat<Tag>;
using Vec = hn::Vec<Tag>;

using FloatVec = hn::Vec<FloatTag>;

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

HWY_INLINE Vec load_bits(const float* x) { return hn::BitCast(Tag(), hn::LoadU(FloatTag(), x)); }

HWY_INLINE uint32_t largest_magnitude_bits(const float* x) {
  const Tag d;
  const Vec mask = hn::Set(d, kMagnitudeMask);
  Vec largest = hn::Zero(d);
  for (size_t i = 0; i < kBlock; i += hn::Lanes(d)) {
    largest = hn::Max(largest, hn::And(load_bits(x + i), mask));
  }
  return static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(d, largest)));
}

// Scale bytes from 11 to 247 are exact here with or without FTZ and DAZ: neither 2^(127 - scale) is
// an fp32 subnormal, nor does an element that is one, before or after scaling, reach half of the
// smallest step, 2^(scale - 137). Zeros are exact at any scale.
template <bool kHalfAway>
HWY_INLINE void encode_block(const float* x, uint8_t scale, uint8_t* codes) {
  const Tag d;
  const FloatTag df;
  const hn::Rebind<uint8_t, Tag> d8;
  const auto inverse = hn::BitCast(df, hn::Set(d, (254 - static_cast<int32_t>(scale)) << 23));
  for (size_t i = 0; i < kBlock; i += hn::Lanes(d)) {
    const Vec bits = load_bits(x + i);
    const Vec magnitude = hn::And(bits, hn::Set(d, kMagnitudeMask));
    const FloatVec value = hn::Mul(hn::BitCast(df, magnitude), inverse);
    const Vec rounded = kHalfAway ? round_half_away(value) : round_nearest_even(value);
    const Vec code = hn::Min(rounded, hn::Set(d, formats::kE4m3MaxCode));
    const Vec sign = hn::And(hn::ShiftRight<24>(bits), hn::Set(d, 0x80));
    hn::StoreU(hn::DemoteTo(d8, hn::Or(code, sign)), d8, codes + i);
  }
}

// As encode_block, for INT8 elements: 2^(133 - scale) is normal for scale bytes from 11 to 253. A
// block of zeros has scale byte 0.
template <bool kHalfAway>
HWY_INLINE void encode_int8_block(const float* x, uint8_t scale, uint8_t* codes) {
  const Tag d;
  const FloatTag df;
  const hn::Rebind<int8_t, Tag> d8;
  const int32_t exponent = scale == 0 ? 127 : 260 - static_cast<int32_t>(scale);
  const auto inverse = hn::BitCast(df, hn::Set(d, exponent << 23));
  for (size_t i = 0; i < kBlock; i += hn::Lanes(d)) {
    const FloatVec value = hn::Mul(hn::LoadU(df, x + i), inverse);
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
    hn::StoreU(hn::DemoteTo(d8, clamped), d8, reinterpret_cast<int8_t*>(codes) + i);
  }
}

// By value, so that the bytes stored cannot alias what the loop reads.
template <formats::MxElement kElement, bool kHalfAway>
HWY_INLINE void quantize_blocks(const QuantizeMxArgs args) {
  constexpr bool kInt8 = kElement == formats::MxElement::kInt8;
  // See encode_block and encode_int8_block.
  constexpr uint8_t kSmallestExactScale = 11;
  constexpr uint8_t kLargestExactScale = kInt8 ? 253 : 254;
  const int64_t blocks = args.m * (args.k / kBlock);
  for (int64_t block = 0; block < blocks; ++block) {
    const float* x = args.x + block * kBlock;
    uint8_t* codes = args.codes + block * kBlock;
    const uint32_t amax = largest_magnitude_bits(x);
    const uint8_t scale = formats::mx_scale_byte(amax, kElement, args.options.scale_rule);
    const bool ordinary = scale >= kSmallestExactScale && scale <= kLargestExactScale;
    if (HWY_LIKELY(ordinary || amax == 0)) {
      if constexpr (kInt8) {
        encode_int8_block<kHalfAway>(x, scale, codes);
      } else {
        encode_block<kHalfAway>(x, scale, codes);
      }
    } else {
      quantize_mx_reference({.x = x,
                             .codes = codes,
                             .scales = args.scales + block,
                             .m = 1,
                             .k = kBlock,
                             .options = args.options});
    }
    args.scales[block] = scale;
  }
}

void quantize(const QuantizeMxArgs& args) {
  using formats::MxElement;
  const bool half_away = args.options.rounding == formats::ElementRounding::kHalfAway;
  if (args.options.element == MxElement::kInt8) {
    if (half_away) return quantize_blocks<MxElement::kInt8, true>(args);
    return quantize_blocks<MxElement::kInt8, false>(args);
  }
  if (half_away) return quantize_blocks<MxElement::kE4m3, true>(args);
  quantize_blocks<MxElement::kE4m3, false>(args);
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
