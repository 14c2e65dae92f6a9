// gemm_mx on 16-bit integers in 256-bit registers; included by the sources of two instruction
// sets, which differ in how a pair of products joins a sum.
//
// Tile: 6 activation rows x 16 features: 12 sums, 2 weights, a broadcast pair, a product. A decoded
// half panel of 16 features is 8 KiB and stays in L1 while all row tiles pass.
#pragma once

#include "kernels/gemm_mx/cpu/integer-inl.h"
#include "kernels/gemm_mx/cpu/tiles-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kLanes = 8;
constexpr int64_t kHalf = 16;  // features in one half of a decoded panel
constexpr int64_t kTileRows = 6;

// A decoded panel: for each half [kGemmDepth / 2][16][2] int16, pairs of consecutive elements of
// one feature; then for each half [kBlocks][16] factors.
constexpr int64_t kHalfValues = kGemmDepth * kHalf;
constexpr int64_t kPanelValueBytes = 2 * kHalfValues * 2;
constexpr int64_t kHalfFactors = kBlocks * kHalf;

// 16 bytes in both lanes.
inline __m256i both_lanes(long long high, long long low) {
  return _mm256_set_epi64x(high, low, high, low);
}

// sum += a pair of products in each lane.
inline void multiply_add(__m256i& sum, __m256i activations, __m256i weights);

struct Int16s {
  __m256i low, high;
};

// The values of 32 codes; `low` are those of bytes 0 to 7 of each 128-bit lane.
inline Int16s values_of(__m256i codes, Int8 /*element*/) {
  const __m256i zero = _mm256_setzero_si256();
  return {.low = _mm256_srai_epi16(_mm256_unpacklo_epi8(zero, codes), 8),
          .high = _mm256_srai_epi16(_mm256_unpackhi_epi8(zero, codes), 8)};
}

inline Int16s values_of(__m256i codes, E4m3 /*element*/) {
  // 2^(exponent - 2) for exponents 2 to 15, in two bytes; what lies below rounds to zero.
  const __m256i low_bytes = both_lanes(0x8040, 0x2010080402010000);
  const __m256i high_bytes = both_lanes(0x2010080402010000, 0);
  const __m256i exponents = _mm256_and_si256(_mm256_srli_epi16(codes, 3), _mm256_set1_epi8(0x0f));
  const __m256i power_low = _mm256_shuffle_epi8(low_bytes, exponents);
  const __m256i power_high = _mm256_shuffle_epi8(high_bytes, exponents);
  // The significand with its hidden bit, times 2^11, of which the low byte is zero.
  const __m256i significand =
      _mm256_or_si256(_mm256_and_si256(_mm256_slli_epi16(codes, 3), _mm256_set1_epi8(0x38)),
                      _mm256_set1_epi8(0x40));
  const __m256i zero = _mm256_setzero_si256();
  const __m256i ones = _mm256_set1_epi8(-1);  // a sign word must not be zero
  const __m256i low = _mm256_mulhrs_epi16(_mm256_unpacklo_epi8(zero, significand),
                                          _mm256_unpacklo_epi8(power_low, power_high));
  const __m256i high = _mm256_mulhrs_epi16(_mm256_unpackhi_epi8(zero, significand),
                                           _mm256_unpackhi_epi8(power_low, power_high));
  return {.low = _mm256_sign_epi16(low, _mm256_unpacklo_epi8(ones, codes)),
          .high = _mm256_sign_epi16(high, _mm256_unpackhi_epi8(ones, codes))};
}

// The element's unit, relative to 2^8 times the scale.
template <class Element>
constexpr float kUnit = 1.0f / static_cast<float>(1 << (8 - Element::kExponent));

// The scale times the element's unit, which may be an fp32 subnormal: by way of a normal number.
// NaN for scale 0xFF and for a block with a NaN code.
template <class Element>
inline float row_factor(uint32_t scale, __m256i codes) {
  if (scale == 0xff || Element::has_nan(codes)) return __builtin_nanf("");
  const auto bits = static_cast<int32_t>((scale + 8) << 23);
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bits))) * kUnit<Element>;
}

template <class Element>
void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* values = static_cast<char*>(row);
  auto* factors = reinterpret_cast<float*>(values + kRowValueBytes);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const __m256i block_codes = load(codes + block * kBlock);
    const Int16s v = values_of(_mm256_permute4x64_epi64(block_codes, 0xd8), Element());
    store(v.low, values + block * kBlock * 2);
    store(v.high, values + block * kBlock * 2 + 32);
    factors[block] = row_factor<Element>(scales[block], block_codes);
  }
}

// Factors of 16 features: as row_factor.
template <class Element>
inline void decode_factors(const uint8_t* scales, float* factors) {
  for (int64_t j = 0; j < kHalf; j += kLanes) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(scales + j));
    const __m256i exponents = _mm256_add_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(8));
    const __m256 normal = _mm256_castsi256_ps(_mm256_slli_epi32(exponents, 23));
    _mm256_store_ps(factors + j, _mm256_mul_ps(normal, _mm256_set1_ps(kUnit<Element>)));
  }
}

template <class Element>
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* values = static_cast<char*>(panel);
  auto* factors = reinterpret_cast<float*>(values + kPanelValueBytes);
  for (int64_t t = 0; t < depth; t += 2) {
    const __m256i even = load(codes + t * kGemmPanel);
    const __m256i odd = load(codes + (t + 1) * kGemmPanel);
    // Pairs of features 0 to 7 and 16 to 23, of 8 to 15 and 24 to 31; then quarters in the order
    // that lets values_of() give 0 to 7 and 16 to 23, 8 to 15 and 24 to 31.
    const __m256i first = _mm256_permute4x64_epi64(_mm256_unpacklo_epi8(even, odd), 0xd8);
    const __m256i second = _mm256_permute4x64_epi64(_mm256_unpackhi_epi8(even, odd), 0xd8);
    const Int16s a = values_of(first, Element());
    const Int16s b = values_of(second, Element());
    char* low_half = values + t * kHalf * 2;
    char* high_half = low_half + kHalfValues * 2;
    store(a.low, low_half);
    store(b.low, low_half + 32);
    store(a.high, high_half);
    store(b.high, high_half + 32);
  }
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    decode_factors<Element>(scales + block * kGemmPanel, factors + block * kHalf);
    decode_factors<Element>(scales + block * kGemmPanel + kHalf,
                            factors + kHalfFactors + block * kHalf);
  }
}

// c += the sum of one block, scaled.
inline void add_block(__m256i sum, __m256 weight_factors, __m256 row_factors, float* c) {
  const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), weight_factors);
  _mm256_store_ps(c, _mm256_fmadd_ps(scaled, row_factors, _mm256_load_ps(c)));
}

// Rows x 16 outputs.
template <int64_t Rows>
void multiply_tile(const char* rows, const char* weights, const float* weight_factors,
                   int64_t depth, float* c) {
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    _mm_prefetch(reinterpret_cast<const char*>(c + (Rows + r) * kGemmPanel), _MM_HINT_T0);
  }
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    __m256i sum[Rows][2];
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    const char* pairs = rows + block * kBlock * 2;
    for (int64_t p = 0; p < kPairs; ++p) {
      const char* pair_weights = weights + (block * kPairs + p) * 64;
      const __m256i low = load(pair_weights);
      const __m256i high = load(pair_weights + 32);
      MXVIDEO_UNROLL
      for (int64_t r = 0; r < Rows; ++r) {
        const __m256i activations = _mm256_set1_epi32(group_at(pairs + r * kRowBytes, p));
        multiply_add(sum[r][0], activations, low);
        multiply_add(sum[r][1], activations, high);
      }
    }
    const __m256 low_factors = _mm256_load_ps(weight_factors + block * kHalf);
    const __m256 high_factors = _mm256_load_ps(weight_factors + block * kHalf + kLanes);
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      const auto* factors = reinterpret_cast<const float*>(rows + r * kRowBytes + kRowValueBytes);
      const __m256 factor = _mm256_broadcast_ss(factors + block);
      float* out = c + r * kGemmPanel;
      add_block(sum[r][0], low_factors, factor, out);
      add_block(sum[r][1], high_factors, factor, out + kLanes);
    }
  }
}

using TileFunction = void (*)(const char*, const char*, const float*, int64_t, float*);
constexpr TileFunction kTiles[kTileRows] = {multiply_tile<1>, multiply_tile<2>, multiply_tile<3>,
                                            multiply_tile<4>, multiply_tile<5>, multiply_tile<6>};

void multiply(const void* activations, const void* panel, int64_t rows, int64_t depth,
              bool accumulate, float* c) {
  const auto* values = static_cast<const char*>(panel);
  const auto* factors = reinterpret_cast<const float*>(values + kPanelValueBytes);
  if (!accumulate) {
    for (int64_t i = 0; i < rows * kGemmPanel; i += kLanes)
      _mm256_store_ps(c + i, _mm256_setzero_ps());
  }
  for (int64_t half = 0; half < 2; ++half) {
    for_tiles(rows, kTileRows, [&](int64_t first, int64_t count) {
      kTiles[count - 1](static_cast<const char*>(activations) + first * kRowBytes,
                        values + half * kHalfValues * 2, factors + half * kHalfFactors, depth,
                        c + first * kGemmPanel + half * kHalf);
    });
  }
}

template <class Element>
constexpr GemmMicroKernel kMicroKernel = {
    .row_bytes = kRowBytes,
    .decode_activation = decode_activation<Element>,
    .decode_panel = decode_panel<Element>,
    .multiply = multiply,
};

}  // namespace
}  // namespace mxvideo::kernels
