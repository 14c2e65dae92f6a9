#include "convert/quantization/row_statistics.h"

#include <algorithm>
#include <array>

#include "formats/e4m3.h"
#include "formats/e8m0.h"
#include "formats/mx_block.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convert/quantization/row_statistics.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::convert::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// What the sums are defined by; a narrower vector takes them in parts.
constexpr size_t kLanes = 8;
using Tag = hn::CappedTag<float, kLanes>;
using BitsTag = hn::RebindToUnsigned<Tag>;
using CountTag = hn::RebindToSigned<Tag>;
using Vec = hn::Vec<Tag>;
using Counts = hn::Vec<CountTag>;

struct Int8 {
  static constexpr float kLargest = 127.0f / 64;
  static HWY_INLINE Vec decode(hn::Vec<BitsTag> codes) {
    const auto signed_codes = hn::ShiftRight<24>(hn::BitCast(CountTag(), hn::ShiftLeft<24>(codes)));
    return hn::Mul(hn::ConvertTo(Tag(), signed_codes), hn::Set(Tag(), 0x1p-6f));
  }
};

// Codes are no NaN: their bits are those of floats scaled by 2^-120.
struct E4m3 {
  static constexpr float kLargest = formats::kE4m3Max;
  static HWY_INLINE Vec decode(hn::Vec<BitsTag> codes) {
    const BitsTag d;
    const auto sign = hn::ShiftLeft<24>(hn::And(codes, hn::Set(d, 0x80)));
    const auto magnitude = hn::ShiftLeft<20>(hn::And(codes, hn::Set(d, 0x7f)));
    return hn::Mul(hn::BitCast(Tag(), hn::Or(sign, magnitude)), hn::Set(Tag(), 0x1p120f));
  }
};

// Of a block in units of its scale, where nothing over- or underflows.
struct BlockSums {
  alignas(32) std::array<float, kLanes> signal, noise;
  float error = 0, amax = 0;
};

// Of a row. They fall by one for each element, because a mask is -1.
struct RowCounts {
  Counts saturated, flushed;
};

template <class Element>
HWY_INLINE void add_lanes(const float* x, const uint8_t* codes, float inverse, size_t lane,
                          BlockSums& sums, RowCounts& row) {
  const Tag d;
  const BitsTag bits;
  const CountTag counts;
  const hn::Rebind<uint8_t, Tag> bytes;
  Vec signal = hn::Zero(d), noise = hn::Zero(d), error = hn::Zero(d), amax = hn::Zero(d);
  for (size_t i = lane; i < formats::kMxBlockSize; i += kLanes) {
    const Vec value = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, inverse));
    const auto code = hn::PromoteTo(bits, hn::LoadU(bytes, codes + i));
    const Vec difference = hn::Sub(value, Element::decode(code));
    const Vec magnitude = hn::Abs(value);
    signal = hn::Add(signal, hn::Mul(value, value));
    noise = hn::Add(noise, hn::Mul(difference, difference));
    error = hn::Max(error, hn::Abs(difference));
    amax = hn::Max(amax, magnitude);
    const auto beyond = hn::Gt(magnitude, hn::Set(d, Element::kLargest));
    const auto zero = hn::Eq(hn::And(code, hn::Set(bits, 0x7f)), hn::Zero(bits));
    const auto vanished = hn::And(hn::RebindMask(d, zero), hn::Gt(magnitude, hn::Zero(d)));
    row.saturated = hn::Add(row.saturated, hn::VecFromMask(counts, hn::RebindMask(counts, beyond)));
    row.flushed = hn::Add(row.flushed, hn::VecFromMask(counts, hn::RebindMask(counts, vanished)));
  }
  hn::StoreU(signal, d, sums.signal.data() + lane);
  hn::StoreU(noise, d, sums.noise.data() + lane);
  sums.error = std::max(sums.error, hn::GetLane(hn::MaxOfLanes(d, error)));
  sums.amax = std::max(sums.amax, hn::GetLane(hn::MaxOfLanes(d, amax)));
}

template <class Element>
RowStatistics measure(const float* x, const uint8_t* codes, const uint8_t* scales, int64_t k) {
  const CountTag counts;
  RowStatistics row;
  RowCounts lost{.saturated = hn::Zero(counts), .flushed = hn::Zero(counts)};
  for (int64_t first = 0; first < k; first += formats::kMxBlockSize) {
    const float scale = formats::decode_e8m0(scales[first / formats::kMxBlockSize]);
    const float inverse = 1 / scale;  // exact: both ends of E8M0 are fp32 subnormals at worst
    BlockSums sums;
    for (size_t lane = 0; lane < kLanes; lane += hn::Lanes(Tag())) {
      add_lanes<Element>(x + first, codes + first, inverse, lane, sums, lost);
    }
    double signal = 0, noise = 0;
    for (size_t i = 0; i < kLanes; ++i) {
      signal += double{sums.signal[i]};
      noise += double{sums.noise[i]};
    }
    const double unit = double{scale} * double{scale};
    row.signal += signal * unit;
    row.noise += noise * unit;
    row.amax = std::max(row.amax, double{sums.amax} * double{scale});
    if (sums.amax > 0) row.worst = std::max(row.worst, double{sums.error} / double{sums.amax});
  }
  row.saturated = -int64_t{hn::GetLane(hn::SumOfLanes(counts, lost.saturated))};
  row.flushed = -int64_t{hn::GetLane(hn::SumOfLanes(counts, lost.flushed))};
  return row;
}

RowStatistics measure_row(const float* x, const uint8_t* codes, const uint8_t* scales, int64_t k,
                          formats::MxElement element) {
  return element == formats::MxElement::kInt8 ? measure<Int8>(x, codes, scales, k)
                                              : measure<E4m3>(x, codes, scales, k);
}

}  // namespace
}  // namespace mxvideo::convert::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::convert {

HWY_EXPORT(measure_row);

RowStatistics row_statistics(const float* x, const uint8_t* codes, const uint8_t* scales, int64_t k,
                             formats::MxElement element) noexcept {
  return HWY_DYNAMIC_DISPATCH(measure_row)(x, codes, scales, k, element);
}

}  // namespace mxvideo::convert
#endif
