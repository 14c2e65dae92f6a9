// The tiles of the AVX-512 VNNI sources of gemm_mx, which differ in the elements that four bytes
// hold: Unit is a pair of int16 or four int8.
//
//   Unit::kGroups       groups of four bytes in a block of a row
//   Unit::kRowBytes     bytes between decoded rows; Unit::kRowValueBytes of them are groups, then
//                       comes RowScales
//   Unit::kScales       where a panel's scales [kBlocks][32] lie, in bytes; groups [..][32] come
//   first Unit::start(panel, block)   where the sums of 16 features start; + 64 bytes for the next
//   16 Unit::add(sum, activations, weights)   adds the products of a group in each lane
//
// Tile: 6 activation rows x 32 features: 12 registers hold the sums of a block, 12 those of all
// blocks, 2 the weights of a group; groups of activations are broadcast. A block's sum is converted
// and joins by an FMA with the product of its two scales, which is a power of two: an addition of
// exponents, off the ports that multiply. (12 rows whose sums over blocks stay in memory: 0.7 of
// this speed on Zen 5.)
#pragma once

#include "kernels/common/dot-inl.h"
#include "kernels/gemm_mx/cpu/integer-inl.h"
#include "kernels/gemm_mx/cpu/tiles-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kTileRows = 6;
constexpr int64_t kGroupBytes = kGemmPanel * 4;  // one group of each feature of a panel

// Scales as exponents in the place that fp32 has them: the bits of the product of two are the sum
// of a RowScales and a panel's exponent. One below 1 stands for less than fp32's normal numbers and
// counts as zero.
constexpr int kExponentShift = 23;
constexpr int kBias = 127;

struct RowScales {
  int32_t exponents[kBlocks];  // biased
  float poison;                // NaN where a scale or an element is, else 0
};
static_assert(sizeof(RowScales) <= 64 && kBlocks == 8);

// 64 codes of a row of which `depth` are left: at least 32, whose last half may be missing.
inline __m512i load_codes(const uint8_t* codes, int64_t depth) {
  const uint64_t there = depth < 64 ? 0xffffffff : ~uint64_t{0};
  return _mm512_maskz_loadu_epi8(there, codes);
}

inline uint64_t nans_of(__m512i codes, E4m3 /*element*/) {
  const __m512i magnitude = _mm512_set1_epi8(0x7f);
  return _mm512_cmpeq_epi8_mask(_mm512_and_si512(codes, magnitude), magnitude);
}
inline uint64_t nans_of(__m512i /*codes*/, Int8 /*element*/) { return 0; }

// `has_nan`: whether an element is NaN.
template <class Element>
inline void decode_row_scales(const uint8_t* scales, int64_t depth, bool has_nan, char* out) {
  auto* row = reinterpret_cast<RowScales*>(out);
  const uint64_t blocks = (uint64_t{1} << (depth / kBlock)) - 1;
  const __m128i bytes = _mm512_castsi512_si128(_mm512_maskz_loadu_epi8(blocks, scales));
  const __m256i exponents =
      _mm256_add_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(Element::kExponent));
  store(_mm256_slli_epi32(exponents, kExponentShift), row->exponents);
  has_nan = has_nan || _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(-1))) != 0;
  row->poison = has_nan ? __builtin_nanf("") : 0.0f;
}

// `out`: [depth / 32][32] int32, not biased.
template <class Element>
inline void decode_panel_scales(const uint8_t* scales, int64_t depth, char* out) {
  for (int64_t i = 0; i < depth / kBlock * kGemmPanel; i += kLanes) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + i));
    const __m512i exponents = _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes),
                                               _mm512_set1_epi32(Element::kExponent - kBias));
    _mm512_store_si512(out + i * 4, _mm512_slli_epi32(exponents, kExponentShift));
  }
}

// `total` and a block's sum, scaled.
inline __m512 add_block(__m512 total, __m512i sum, __m512i row_exponent, __m512i panel_exponents) {
  const __m512i bits = _mm512_add_epi32(row_exponent, panel_exponents);
  const __m512 scale = _mm512_castsi512_ps(_mm512_max_epi32(bits, _mm512_setzero_si512()));
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, total);
}

template <class Unit, int64_t Rows>
void multiply_tile(const char* rows, const char* panel, int64_t blocks, bool accumulate, float* c) {
  const auto scales_of = [&](int64_t row) {
    return reinterpret_cast<const RowScales*>(rows + row * Unit::kRowBytes + Unit::kRowValueBytes);
  };
  __m512 total[Rows][2];
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    float* out = c + r * kGemmPanel;
    const __m512 poison = _mm512_set1_ps(scales_of(r)->poison);
    total[r][0] = accumulate ? _mm512_add_ps(_mm512_load_ps(out), poison) : poison;
    total[r][1] = accumulate ? _mm512_add_ps(_mm512_load_ps(out + kLanes), poison) : poison;
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
    const char* exponents = panel + Unit::kScales + block * kGemmPanel * 4;
    const __m512i low_exponents = _mm512_load_si512(exponents);
    const __m512i high_exponents = _mm512_load_si512(exponents + 64);
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      const __m512i row_exponent = _mm512_set1_epi32(scales_of(r)->exponents[block]);
      total[r][0] = add_block(total[r][0], sum[r][0], row_exponent, low_exponents);
      total[r][1] = add_block(total[r][1], sum[r][1], row_exponent, high_exponents);
    }
  }
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    _mm512_store_ps(c + r * kGemmPanel, total[r][0]);
    _mm512_store_ps(c + r * kGemmPanel + kLanes, total[r][1]);
  }
}

using TileFunction = void (*)(const char*, const char*, int64_t, bool, float*);
template <class Unit>
constexpr TileFunction kTiles[kTileRows] = {multiply_tile<Unit, 1>, multiply_tile<Unit, 2>,
                                            multiply_tile<Unit, 3>, multiply_tile<Unit, 4>,
                                            multiply_tile<Unit, 5>, multiply_tile<Unit, 6>};

template <class Unit>
void multiply(const void* activations, const void* panel, int64_t rows, int64_t depth,
              bool accumulate, float* c) {
  for_tiles(rows, kTileRows, [&](int64_t first, int64_t count) {
    kTiles<Unit>[count - 1](static_cast<const char*>(activations) + first * Unit::kRowBytes,
                            static_cast<const char*>(panel), depth / kBlock, accumulate,
                            c + first * kGemmPanel);
  });
}

}  // namespace
}  // namespace mxvideo::kernels
