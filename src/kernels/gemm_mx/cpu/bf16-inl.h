// Operands in bf16 for the rows that multiply bf16 pairs, decoded with AVX-512 F + BW; for ISA
// files of gemm_mx.
//
// An element times its scale is a bf16 number, exactly, for E4M3 (4 significant bits) as for INT8
// (at most 7 and a sign), as long as it is no fp32 subnormal: the instructions take those for zero.
// So they multiply the definition's own operands, scales included, and add in fp32.
#pragma once

#include "kernels/gemm_mx/cpu/pairs-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kBlock = 32;               // elements that share a scale
constexpr int64_t kBlockBytes = kBlock * 2;  // decoded
constexpr int64_t kRowBytes = kGemmDepth * 2 + 64;
constexpr int64_t kPairBytes = kGemmPanel * 4;  // two consecutive elements of each feature
static_assert(kRowBytes <= kGemmRowBytes && kGemmDepth / 2 * kPairBytes <= kGemmPanelBytes);

// In bf16, a power of two is a step of the exponent field.
constexpr int kExponentShift = 7;

// The element formats. bits(): of 32 sign-extended codes without their sign and unequal zero, the
// bf16 bits less the exponent kZero: an element's value is that of bits() with kZero and the
// exponent of its scale added to the exponent field.
struct E4m3 {
  static constexpr int kZero = 120;

  static __m512i bits(__m512i words) {
    // Subnormals, 1 to 7 times 2^-9.
    const __m512i small =
        _mm512_broadcast_i32x4(_mm_set_epi16(0x60, 0x40, 0x20, 0, -0x40, -0x80, -0x100, 0));
    const __m512i normal = _mm512_and_si512(_mm512_slli_epi16(words, 4), _mm512_set1_epi16(0x7f0));
    const auto is_small = _mm512_testn_epi16_mask(words, _mm512_set1_epi16(0x78));
    return _mm512_mask_permutexvar_epi16(normal, is_small, words, small);
  }
  static auto nonzero(__m512i words) {
    return _mm512_test_epi16_mask(words, _mm512_set1_epi16(0x7f));
  }
  static bool has_nan(__m256i codes) {
    const __m256i magnitude = _mm256_set1_epi8(0x7f);
    const __m256i nan = _mm256_cmpeq_epi8(_mm256_and_si256(codes, magnitude), magnitude);
    return _mm256_movemask_epi8(nan) != 0;
  }
};

struct Int8 {
  static constexpr int kZero = -6;

  // By way of fp32, whose upper half is the bf16 number here.
  static __m512i bits(__m512i words) {
    const __m512i magnitude = _mm512_abs_epi16(words);
    const __m256i low = half_bits(_mm512_castsi512_si256(magnitude));
    const __m256i high = half_bits(_mm512_extracti64x4_epi64(magnitude, 1));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
  static auto nonzero(__m512i words) { return _mm512_test_epi16_mask(words, words); }
  static bool has_nan(__m256i /*codes*/) { return false; }

 private:
  static __m256i half_bits(__m256i words) {
    const __m512 values = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(words));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(values), 16));
  }
};

// The exponent of a scale with Element::kZero, in the place that bf16 has it.
template <class Element>
constexpr int exponent_of(int scale) {
  return (scale - 127 + Element::kZero) * (1 << kExponentShift);
}

// 32 codes in bf16, in their order; `exponents` as exponent_of().
template <class Element>
inline __m512i values_of(__m256i codes, __m512i exponents) {
  const __m512i words = _mm512_cvtepi8_epi16(codes);
  const __m512i magnitude =
      _mm512_maskz_add_epi16(Element::nonzero(words), Element::bits(words), exponents);
  const __m512i sign = _mm512_set1_epi16(static_cast<int16_t>(0x8000));
  return _mm512_or_si512(magnitude, _mm512_and_si512(words, sign));
}

template <class Element>
void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* values = static_cast<char*>(row);
  bool has_nan = false;
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const __m512i exponents =
        _mm512_set1_epi16(static_cast<int16_t>(exponent_of<Element>(scales[block])));
    const __m256i block_codes =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + block * kBlock));
    has_nan = has_nan || scales[block] == 0xff || Element::has_nan(block_codes);
    _mm512_store_si512(values + block * kBlockBytes, values_of<Element>(block_codes, exponents));
  }
  constexpr uint16_t kNan = 0x7fc0;
  if (has_nan) __builtin_memcpy(values, &kNan, sizeof kNan);
}

// exponent_of() of the scales of 16 features, each twice, for its two elements of a pair.
template <class Element>
inline __m512i pair_exponents(const uint8_t* scales) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales));
  const __m512i zero = _mm512_set1_epi32(Element::kZero - 127);
  const __m512i exponents = _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes), zero);
  const __m512i upper = _mm512_slli_epi32(exponents, 16 + kExponentShift);
  return _mm512_or_si512(upper, _mm512_srli_epi32(upper, 16));
}

// panel: [kGemmDepth / 2][32][2], pairs of consecutive elements of one feature.
template <class Element>
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* values = static_cast<char*>(panel);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const __m512i low_exponents = pair_exponents<Element>(scales + block * kGemmPanel);
    const __m512i high_exponents =
        pair_exponents<Element>(scales + block * kGemmPanel + kGemmPanel / 2);
    for (int64_t t = block * kBlock; t < (block + 1) * kBlock; t += 2) {
      const CodePairs pairs = load_pairs(codes + t * kGemmPanel);
      char* to = values + t / 2 * kPairBytes;
      _mm512_store_si512(to, values_of<Element>(pairs.low, low_exponents));
      _mm512_store_si512(to + kBlockBytes, values_of<Element>(pairs.high, high_exponents));
    }
  }
}

}  // namespace
}  // namespace mxvideo::kernels
