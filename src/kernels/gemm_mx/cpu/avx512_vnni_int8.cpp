// gemm_mx on int8 for AVX-512 F + BW + VNNI: INT8 elements, and E4M3 as multiples of 4.
//
// VPDPBUSD multiplies 64 pairs of bytes and adds them by fours, but takes one operand unsigned:
// activations are stored as x + 128, and the sums start at -128 · Σ w of the block, which decoding
// the panel computes once. All of it is exact in int32; as on int16, the block's sum is converted
// and joins the fp32 sums, in the same order.
//
// A decoded panel is 8 KiB and stays in L1 while all row tiles (vnni512-inl.h) pass.
//
// Bound: VPDPBUSD, for 80 % of the time on Zen 5, at 0.85 of its rate; decoding takes 9 %, storing
// the outputs 7 %.
#include "kernels/gemm_mx/cpu/vnni512-inl.h"

namespace mxvideo::kernels {
namespace {

// A decoded row: [kGemmDepth] x + 128, then its scales. A decoded panel:
// [kGemmDepth / 4][32][4] bytes; [kBlocks][32] int32, where sums start; [kBlocks][32] scales.
struct Int8Quads {
  static constexpr int64_t kGroups = kBlock / 4;
  static constexpr int64_t kRowValueBytes = kGemmDepth;
  static constexpr int64_t kRowBytes = kRowValueBytes + 64;
  static constexpr int64_t kStarts = kGemmDepth / 4 * kGroupBytes;
  static constexpr int64_t kScales = kStarts + kBlocks * kGemmPanel * 4;
  static __m512i start(const char* panel, int64_t block) {
    return _mm512_load_si512(panel + kStarts + block * kGemmPanel * 4);
  }
  static __m512i add(__m512i sum, __m512i activations, __m512i weights) {
    return add_byte_products(sum, activations, weights);
  }
};
static_assert(kBlocks * 4 <= 64 && Int8Quads::kRowBytes <= kGemmRowBytes);
static_assert(Int8Quads::kScales + kBlocks * kGemmPanel * 4 <= kGemmPanelBytes);

// E4M3 as int8: what the fast row multiplies.
struct CoarseE4m3 : E4m3 {
  static constexpr int kExponent = 2;
};

inline __m512i bytes_of(__m512i codes, Int8 /*element*/) { return codes; }

// The int8 values of the codes from 0x40 on, 16 to a row; smaller ones round to zero.
struct CoarseValues {
  alignas(64) int8_t rows[4][16] = {};
};
constexpr CoarseValues coarse_values() {
  CoarseValues values;
  for (int exponent = 8; exponent < 16; ++exponent) {
    for (int mantissa = 0; mantissa < 8; ++mantissa) {
      const int sixteenths = (8 + mantissa) << (exponent - 8);
      values.rows[(exponent - 8) / 2][exponent % 2 * 8 + mantissa] =
          static_cast<int8_t>((sixteenths + 8) / 16);
    }
  }
  return values;
}
constexpr CoarseValues kCoarseValues = coarse_values();

inline __m512i bytes_of(__m512i codes, CoarseE4m3 /*element*/) {
  const __m512i index = _mm512_and_si512(codes, _mm512_set1_epi8(0x7f));
  const __m512i row = _mm512_and_si512(codes, _mm512_set1_epi8(0x70));
  __m512i magnitude = _mm512_setzero_si512();
  MXVIDEO_UNROLL
  for (int r = 0; r < 4; ++r) {
    const auto* values = reinterpret_cast<const __m128i*>(kCoarseValues.rows[r]);
    const auto here =
        _mm512_cmpeq_epi8_mask(row, _mm512_set1_epi8(static_cast<char>(0x40 + 16 * r)));
    magnitude = _mm512_mask_shuffle_epi8(magnitude, here,
                                         _mm512_broadcast_i32x4(_mm_load_si128(values)), index);
  }
  const auto negative = _mm512_movepi8_mask(codes);
  return _mm512_mask_sub_epi8(magnitude, negative, _mm512_setzero_si512(), magnitude);
}

template <class Element>
void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* values = static_cast<char*>(row);
  uint64_t nans = 0;
  for (int64_t t = 0; t < depth; t += 64) {
    const __m512i some = load_codes(codes + t, depth - t);
    nans |= nans_of(some, Element());
    const __m512i signed_values = bytes_of(some, Element());
    _mm512_store_si512(values + t, _mm512_xor_si512(signed_values, _mm512_set1_epi8(-128)));
  }
  decode_row_scales<Element>(scales, depth, nans != 0, values + Int8Quads::kRowValueBytes);
}

// Four rows of a panel, to fours of consecutive elements of one feature.
template <class Element>
inline void interleave_quads(const uint8_t* codes, char* out) {
  const __m512i rows_01 = bytes_of(_mm512_loadu_si512(codes), Element());
  const __m512i rows_23 = bytes_of(_mm512_loadu_si512(codes + 2 * kGemmPanel), Element());
  const __m512i rows_02 = _mm512_shuffle_i32x4(rows_01, rows_23, 0x44);
  const __m512i rows_13 = _mm512_shuffle_i32x4(rows_01, rows_23, 0xee);
  // Pairs of rows 0 and 1, then of rows 2 and 3: of features 0 to 7 and 16 to 23, then the others.
  const __m512i outer = _mm512_unpacklo_epi8(rows_02, rows_13);
  const __m512i inner = _mm512_unpackhi_epi8(rows_02, rows_13);
  const __m512i pairs_01 = _mm512_shuffle_i32x4(outer, inner, 0x44);
  const __m512i pairs_23 = _mm512_shuffle_i32x4(outer, inner, 0xee);
  // Features 0 to 3, 16 to 19, 8 to 11, 24 to 27; then the fours between.
  const __m512i even = _mm512_unpacklo_epi16(pairs_01, pairs_23);
  const __m512i odd = _mm512_unpackhi_epi16(pairs_01, pairs_23);
  const __m512i low = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
  const __m512i high = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
  _mm512_store_si512(out, _mm512_permutex2var_epi64(even, low, odd));
  _mm512_store_si512(out + 64, _mm512_permutex2var_epi64(even, high, odd));
}

template <class Element>
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* values = static_cast<char*>(panel);
  auto* starts = values + Int8Quads::kStarts;
  for (int64_t t = 0; t < depth; t += 4) {
    interleave_quads<Element>(codes + t * kGemmPanel, values + t / 4 * kGroupBytes);
  }
  const __m512i zero_activation = _mm512_set1_epi8(-128);  // 0 + 128, as an unsigned byte
  for (int64_t i = 0; i < depth / kBlock * kGemmPanel; i += kLanes) {
    const char* quads =
        values + i / kGemmPanel * Int8Quads::kGroups * kGroupBytes + i % kGemmPanel * 4;
    __m512i sum = _mm512_setzero_si512();
    for (int64_t q = 0; q < Int8Quads::kGroups; ++q) {
      sum = add_byte_products(sum, zero_activation, _mm512_load_si512(quads + q * kGroupBytes));
    }
    _mm512_store_si512(starts + i * 4, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
  }
  decode_panel_scales<Element>(scales, depth, values + Int8Quads::kScales);
}

template <class Element>
constexpr GemmMicroKernel kMicroKernel = {
    .row_bytes = Int8Quads::kRowBytes,
    .decode_activation = decode_activation<Element>,
    .decode_panel = decode_panel<Element>,
    .multiply = multiply<Int8Quads>,
};

}  // namespace

const GemmMicroKernel kGemmMxint8Avx512VnniInt8 = kMicroKernel<Int8>;
const GemmMicroKernel kGemmMxAvx512VnniFast = kMicroKernel<CoarseE4m3>;

}  // namespace mxvideo::kernels
