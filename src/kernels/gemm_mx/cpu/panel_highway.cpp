// Bytes only, in L1 and L2: a panel is packed right after it was quantized.
#include <bit>

#include "kernels/gemm_mx/cpu/panel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_mx/cpu/panel_highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

int64_t transpose(const uint8_t*, int64_t, uint8_t*) { return 0; }

MxPanelPacker::Survey survey(const uint8_t* codes, const uint8_t* scales, int64_t blocks,
                             formats::MxElement element) {
  return survey_blocks_reference(codes, scales, blocks, element);
}

#else

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kPanel = MxPanels::kPanel;
constexpr int64_t kBlock = formats::kMxBlockSize;
constexpr int64_t kSide = 16;  // bytes of a row of a square, and rows

// Row i of a vector's squares: the first square's goes to `out`, the next kSide rows further.
template <class D>
HWY_INLINE void store_squares(D d, hn::Vec<D> row, uint8_t* out) {
  constexpr int64_t kLanes = hn::MaxLanes(D());
  if constexpr (kLanes == kSide) {
    hn::StoreU(row, d, out);
  } else {
    const hn::Half<D> half;
    store_squares(half, hn::LowerHalf(half, row), out);
    store_squares(half, hn::UpperHalf(half, row), out + kLanes / 2 * kPanel);
  }
}

// Squares of kSide x kSide bytes beside each other in kSide rows: four rounds that interleave rows
// i and i + 8 rotate the index (row, column) of a byte by half.
template <class D>
HWY_INLINE void transpose_squares(D d, const uint8_t* rows, int64_t stride, uint8_t* out) {
  hn::Vec<D> square[kSide];
  for (int64_t i = 0; i < kSide; ++i) square[i] = hn::LoadU(d, rows + i * stride);
  for (int round = 0; round < 4; ++round) {
    hn::Vec<D> mixed[kSide];
    for (int64_t i = 0; i < kSide / 2; ++i) {
      mixed[2 * i] = hn::InterleaveLower(d, square[i], square[i + kSide / 2]);
      mixed[2 * i + 1] = hn::InterleaveUpper(d, square[i], square[i + kSide / 2]);
    }
    for (int64_t i = 0; i < kSide; ++i) square[i] = mixed[i];
  }
  for (int64_t i = 0; i < kSide; ++i) store_squares(d, square[i], out + i * kPanel);
}

int64_t transpose(const uint8_t* rows, int64_t length, uint8_t* panel) {
  const hn::CappedTag<uint8_t, 64> wide;
  const hn::CappedTag<uint8_t, kSide> narrow;
  constexpr int64_t kWide = hn::MaxLanes(wide);
  int64_t t = 0;
  const auto columns = [&](auto d) {
    for (int64_t j = 0; j < kPanel; j += kSide) {
      transpose_squares(d, rows + j * length + t, length, panel + t * kPanel + j);
    }
  };
  for (; t + kWide <= length; t += kWide) columns(wide);
  for (; t + kSide <= length; t += kSide) columns(narrow);
  return t;
}

using Bytes = hn::CappedTag<uint8_t, kBlock>;
using Sums = hn::Repartition<uint64_t, Bytes>;
using Doubles = hn::Repartition<double, Bytes>;
using ByteVec = hn::Vec<Bytes>;
using DoubleVec = hn::Vec<Doubles>;
constexpr int64_t kBytes = hn::MaxLanes(Bytes());  // of a vector
constexpr int64_t kDoubles = hn::MaxLanes(Doubles());
constexpr int64_t kVectors = kBlock / kBytes;

// How far int8 multiples of 4 are from E4M3 elements of these magnitudes, squared, at most: the
// elements from 16 to 32 that are odd multiples of 2 move by 2, those from 8 to 16 by up to 2 as
// their remainder says, and smaller ones by at most 2.
HWY_INLINE ByteVec noise_of(ByteVec magnitude) {
  const Bytes d;
  constexpr uint8_t k8 = 0x50;
  alignas(16) static constexpr uint8_t kFrom8To32[16] = {0, 1, 4, 1, 0, 1, 4, 1,
                                                         0, 4, 0, 4, 0, 4, 0, 4};
  // From 8 to 32 the index is below 16, elsewhere it has its highest bit, which gives zero.
  const ByteVec index =
      hn::And(hn::SaturatedAdd(hn::Sub(magnitude, hn::Set(d, k8)), hn::Set(d, uint8_t{0x70})),
              hn::Set(d, uint8_t{0x8f}));
  const ByteVec noise = hn::TableLookupBytesOr0(hn::LoadDup128(d, kFrom8To32), index);
  // 0 wraps to the largest.
  const auto below_8 =
      hn::Lt(hn::Sub(magnitude, hn::Set(d, uint8_t{1})), hn::Set(d, uint8_t{k8 - 1}));
  return hn::Add(noise, hn::IfThenElseZero(below_8, hn::Set(d, uint8_t{4})));
}

// Squares of elements of at least 64, of the next half octave below, in units of 2^10.
HWY_INLINE ByteVec signal_of(ByteVec magnitude) {
  const Bytes d;
  const hn::Repartition<uint16_t, Bytes> d16;
  alignas(16) static constexpr uint8_t kSquares[16] = {0, 0, 0, 0, 0,  0,  0,  0,
                                                       0, 0, 4, 9, 16, 36, 64, 144};
  const ByteVec half_octave = hn::And(
      hn::BitCast(d, hn::ShiftRight<2>(hn::BitCast(d16, magnitude))), hn::Set(d, uint8_t{0x1f}));
  return hn::TableLookupBytes(hn::LoadDup128(d, kSquares),
                              hn::SaturatedSub(half_octave, hn::Set(d, uint8_t{16})));
}

// Four sums, of the bytes 8 i to 8 i + 7 of every block.
class BlockSums {
 public:
  HWY_INLINE BlockSums() {
    for (DoubleVec& sum : sums_) sum = hn::Zero(Doubles());
  }
  HWY_INLINE void add(int64_t vector, ByteVec bytes, DoubleVec square) {
    // A sum below 2^52 with the bits of 2^52.
    const hn::Vec<Sums> bits =
        hn::Or(hn::SumsOf8(bytes), hn::BitCast(Sums(), hn::Set(Doubles(), 0x1p52)));
    const DoubleVec count = hn::Sub(hn::BitCast(Doubles(), bits), hn::Set(Doubles(), 0x1p52));
    sums_[vector] = hn::MulAdd(count, square, sums_[vector]);
  }
  HWY_INLINE double total() const {
    double parts[kBlock / 8];
    for (int64_t i = 0; i < kVectors; ++i) {
      hn::StoreU(sums_[i], Doubles(), parts + i * kDoubles);
    }
    return (parts[0] + parts[1]) + (parts[2] + parts[3]);
  }

 private:
  DoubleVec sums_[kVectors];
};

template <formats::MxElement kElement>
HWY_INLINE MxPanelPacker::Survey survey_of(const uint8_t* codes, const uint8_t* scales,
                                           int64_t blocks) {
  constexpr bool kInt8 = kElement == formats::MxElement::kInt8;
  const Bytes d;
  // Of INT8 only zero matters, which has no sign; of E4M3 the code of 64.
  const ByteVec smallest = hn::Set(d, kInt8 ? uint8_t{1} : uint8_t{0x68});
  MxPanelPacker::Survey result;
  BlockSums noise, signal;
  for (int64_t b = 0; b < blocks; ++b) {
    const uint8_t scale = scales[b];
    const auto square = hn::Set(
        Doubles(), std::bit_cast<double>(static_cast<uint64_t>(1023 + 2 * (scale - 127)) << 52));
    ByteVec largest = hn::Zero(d);
    for (int64_t i = 0; i < kVectors; ++i) {
      const ByteVec code = hn::LoadU(d, codes + b * kBlock + i * kBytes);
      const ByteVec magnitude = kInt8 ? code : hn::And(code, hn::Set(d, uint8_t{0x7f}));
      largest = hn::Max(largest, magnitude);
      if constexpr (!kInt8) {
        noise.add(i, noise_of(magnitude), square);
        signal.add(i, signal_of(magnitude), square);
      }
    }
    result.max_scale = HWY_MAX(result.max_scale, scale);
    const bool in_range = scale >= MxPanels::kSmallestScale && scale <= MxPanels::kLargestScale;
    if (HWY_UNLIKELY(!in_range || hn::AllTrue(d, hn::Lt(largest, smallest)))) {
      const bool zero = hn::AllTrue(d, hn::Eq(largest, hn::Zero(d)));
      result.fills_scales = result.fills_scales && zero;
    }
  }
  result.fast_noise = noise.total();
  result.signal = 1024 * signal.total();
  return result;
}

MxPanelPacker::Survey survey(const uint8_t* codes, const uint8_t* scales, int64_t blocks,
                             formats::MxElement element) {
  using formats::MxElement;
  return element == MxElement::kInt8 ? survey_of<MxElement::kInt8>(codes, scales, blocks)
                                     : survey_of<MxElement::kE4m3>(codes, scales, blocks);
}

#endif

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(transpose);
HWY_EXPORT(survey);

int64_t transpose_panel(const uint8_t* rows, int64_t length, uint8_t* panel) noexcept {
  return HWY_DYNAMIC_DISPATCH(transpose)(rows, length, panel);
}

MxPanelPacker::Survey survey_blocks(const uint8_t* codes, const uint8_t* scales, int64_t blocks,
                                    formats::MxElement element) noexcept {
  return HWY_DYNAMIC_DISPATCH(survey)(codes, scales, blocks, element);
}

}  // namespace mxvideo::kernels
#endif
