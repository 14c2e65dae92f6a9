// The tiles of the AVX-512 VNNI sources of gemm_mx, which differ in the elements that four bytes
// hold: Unit is a pair of int16 or four int8.
//
//   Unit::kGroups       groups of four bytes in a block of a row
//   Unit::kRowBytes     bytes between decoded rows; Unit::kRowValueBytes of them are groups, then
//                       comes a factor for each block
//   Unit::kFactors      where a panel's factors [kBlocks][32] lie, in bytes; groups [..][32] come
//   first Unit::start(panel, block)   where the sums of 16 features start; + 64 bytes for the next
//   16 Unit::add(sum, activations, weights)   adds the products of a group in each lane
//
// Tile: 12 activation rows x 32 features; 24 of the 32 registers hold sums, 2 hold weights, and
// groups of activations are broadcast by the memory operand.
#pragma once

#include "kernels/gemm_mx/integer-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kTileRows = 12;
constexpr int64_t kGroupBytes = kGemmPanel * 4;  // one group of each feature of a panel

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

// Factors of 16 features: the scale times `unit`, relative to 2^8 times the scale; by way of a
// normal number.
inline void decode_factors(const uint8_t* scales, float unit, float* factors) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales));
  const __m512i exponents = _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(8));
  const __m512 normal = _mm512_castsi512_ps(_mm512_slli_epi32(exponents, 23));
  _mm512_store_ps(factors, _mm512_mul_ps(normal, _mm512_set1_ps(unit)));
}

// c += the sum of one block, scaled.
inline void add_block(__m512i sum, __m512 weight_factors, __m512 row_factors, float* c) {
  const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), weight_factors);
  _mm512_store_ps(c, _mm512_fmadd_ps(scaled, row_factors, _mm512_load_ps(c)));
}

template <class Unit, int64_t Rows>
void multiply_tile(const char* rows, const char* panel, int64_t blocks, float* c) {
  const auto* weight_factors = reinterpret_cast<const float*>(panel + Unit::kFactors);
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {  // the next tile's
    _mm_prefetch(reinterpret_cast<const char*>(c + (Rows + r) * kGemmPanel), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(c + (Rows + r) * kGemmPanel + kLanes), _MM_HINT_T0);
  }
  for (int64_t block = 0; block < blocks; ++block) {
    __m512i sum[Rows][2];
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      sum[r][0] = Unit::start(panel, block);
      sum[r][1] = Unit::start(panel + kLanes * 4, block);
    }
    for (int64_t g = block * Unit::kGroups; g < (block + 1) * Unit::kGroups; ++g) {
      const __m512i low = _mm512_load_si512(panel + g * kGroupBytes);
      const __m512i high = _mm512_load_si512(panel + g * kGroupBytes + 64);
      MXVIDEO_UNROLL
      for (int64_t r = 0; r < Rows; ++r) {
        const __m512i activations = _mm512_set1_epi32(group_at(rows + r * Unit::kRowBytes, g));
        sum[r][0] = Unit::add(sum[r][0], activations, low);
        sum[r][1] = Unit::add(sum[r][1], activations, high);
      }
    }
    const __m512 low_factors = _mm512_load_ps(weight_factors + block * kGemmPanel);
    const __m512 high_factors = _mm512_load_ps(weight_factors + block * kGemmPanel + kLanes);
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      const char* row = rows + r * Unit::kRowBytes;
      const auto* factors = reinterpret_cast<const float*>(row + Unit::kRowValueBytes);
      const __m512 factor = _mm512_set1_ps(factors[block]);
      add_block(sum[r][0], low_factors, factor, c + r * kGemmPanel);
      add_block(sum[r][1], high_factors, factor, c + r * kGemmPanel + kLanes);
    }
  }
}

using TileFunction = void (*)(const char*, const char*, int64_t, float*);
template <class Unit>
constexpr TileFunction kTiles[kTileRows] = {
    multiply_tile<Unit, 1>,  multiply_tile<Unit, 2>,  multiply_tile<Unit, 3>,
    multiply_tile<Unit, 4>,  multiply_tile<Unit, 5>,  multiply_tile<Unit, 6>,
    multiply_tile<Unit, 7>,  multiply_tile<Unit, 8>,  multiply_tile<Unit, 9>,
    multiply_tile<Unit, 10>, multiply_tile<Unit, 11>, multiply_tile<Unit, 12>};

template <class Unit>
void multiply(const void* activations, const void* panel, int64_t rows, int64_t depth,
              bool accumulate, float* c) {
  if (!accumulate) {
    for (int64_t i = 0; i < rows * kGemmPanel; i += kLanes) {
      _mm512_store_ps(c + i, _mm512_setzero_ps());
    }
  }
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t first = rows * tile / tiles;
    const int64_t count = rows * (tile + 1) / tiles - first;
    kTiles<Unit>[count - 1](static_cast<const char*>(activations) + first * Unit::kRowBytes,
                            static_cast<const char*>(panel), depth / kBlock,
                            c + first * kGemmPanel);
  }
}

}  // namespace
}  // namespace mxvideo::kernels
