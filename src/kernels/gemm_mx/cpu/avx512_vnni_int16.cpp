// gemm_mx on 16-bit integers for AVX-512 F + BW + VNNI.
//
// VPDPWSSD multiplies and adds 32 elements at once: as many as AVX512-FP16's FMA, without its
// rounding. A decoded panel is 16 KiB and stays in L1 while all row tiles (vnni512-inl.h) pass.
//
// Bound: VPDPWSSD, for 89 % of the time on Zen 5, at 0.88 of its rate.
#include "kernels/gemm_mx/cpu/pairs-inl.h"
#include "kernels/gemm_mx/cpu/vnni512-inl.h"

namespace mxvideo::kernels {
namespace {

// A decoded panel: [kGemmDepth / 2][32][2] int16, pairs of consecutive elements of one feature;
// then [kBlocks][32] scales.
struct Int16Pairs {
  static constexpr int64_t kGroups = kPairs;
  static constexpr int64_t kRowBytes = kernels::kRowBytes;
  static constexpr int64_t kRowValueBytes = kernels::kRowValueBytes;
  static constexpr int64_t kScales = kGemmDepth / 2 * kGroupBytes;
  static __m512i start(const char* /*panel*/, int64_t /*block*/) { return _mm512_setzero_si512(); }
  static __m512i add(__m512i sum, __m512i activations, __m512i weights) {
    return add_word_products(sum, activations, weights);
  }
};

// 32 E4M3 codes as integers, in their order: the significand, 8 to 15, times the power of two that
// the exponent selects from `powers`, over 16, to the nearest (halves away from zero).
inline __m512i multiples_of(__m256i codes, __m256i powers) {
  const __m512i table = _mm512_broadcast_i64x4(powers);  // by exponent, whatever the sign bit above
  const __m512i words = _mm512_cvtepi8_epi16(codes);
  const __m512i power = _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 3), table);
  // The significand with its hidden bit, times 2^11.
  const __m512i significand =
      _mm512_or_si512(_mm512_and_si512(_mm512_slli_epi16(words, 11), _mm512_set1_epi16(0x3800)),
                      _mm512_set1_epi16(0x4000));
  const __m512i magnitude = _mm512_mulhrs_epi16(significand, power);
  const __m512i sign = _mm512_srai_epi16(words, 15);  // -1 or 0
  return _mm512_sub_epi16(_mm512_xor_si512(magnitude, sign), sign);
}

// The values of 32 codes, in their order.
inline __m512i values_of(__m256i codes, Int8 /*element*/) { return _mm512_cvtepi8_epi16(codes); }

inline __m512i values_of(__m256i codes, E4m3 /*element*/) {
  // 2^(exponent - 2) for exponents 2 to 15; what lies below rounds to zero.
  return multiples_of(codes, _mm256_set_epi16(0x2000, 0x1000, 0x800, 0x400, 0x200, 0x100, 0x80,
                                              0x40, 0x20, 0x10, 8, 4, 2, 1, 0, 0));
}

template <class Element>
void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* values = static_cast<char*>(row);
  uint64_t nans = 0;
  for (int64_t t = 0; t < depth; t += 64) {
    const __m512i some = load_codes(codes + t, depth - t);
    nans |= nans_of(some, Element());
    _mm512_store_si512(values + t * 2, values_of(_mm512_castsi512_si256(some), Element()));
    _mm512_store_si512(values + t * 2 + 64,
                       values_of(_mm512_extracti64x4_epi64(some, 1), Element()));
  }
  decode_row_scales<Element>(scales, depth, nans != 0, values + kRowValueBytes);
}

template <class Element>
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* values = static_cast<char*>(panel);
  for (int64_t t = 0; t < depth; t += 2) {
    const CodePairs pairs = load_pairs(codes + t * kGemmPanel);
    char* to = values + t / 2 * kGroupBytes;
    _mm512_store_si512(to, values_of(pairs.low, Element()));
    _mm512_store_si512(to + 64, values_of(pairs.high, Element()));
  }
  decode_panel_scales<Element>(scales, depth, values + Int16Pairs::kScales);
}

template <class Element>
constexpr GemmMicroKernel kMicroKernel = {
    .row_bytes = kRowBytes,
    .decode_activation = decode_activation<Element>,
    .decode_panel = decode_panel<Element>,
    .multiply = multiply<Int16Pairs>,
};

}  // namespace

const GemmMicroKernel kGemmMxAvx512VnniInt16 = kMicroKernel<E4m3>;
const GemmMicroKernel kGemmMxint8Avx512VnniInt16 = kMicroKernel<Int8>;

}  // namespace mxvideo::kernels
