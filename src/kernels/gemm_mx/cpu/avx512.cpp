// gemm_mx for AVX-512 F + BW.
//
// Idea: E4M3 codes become fp16 by bit moves (exactly the value times 2^-8, subnormals included),
// are widened to fp32, and one multiplication by 2^(scale-119) gives the scaled value,
// exactly. Decoding costs one pass over a panel for up to 192 activation rows; the rest is FMA.
//
// Tile: 12 activation rows x 32 features; 24 of the 32 registers hold sums, 2 hold weights, and
// activations are broadcast by the FMA's memory operand. A decoded panel is 32 KiB and streams from
// L1 or L2 once per row tile.
//
// Bound: the fp32 FMA roof, 0.8 of it on Zen 5.
#include <immintrin.h>

#include "kernels/common/unroll.h"
#include "kernels/gemm_mx/cpu/micro_kernel.h"
#include "kernels/gemm_mx/cpu/tiles-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kVectors = 2;
constexpr int64_t kTileRows = 12;
constexpr int64_t kBlock = 32;                   // elements that share a scale
constexpr int64_t kRowStride = kGemmDepth + 16;  // floats between decoded activation rows
static_assert(kRowStride * 4 <= kGemmRowBytes);
static_assert(kVectors * kLanes == kGemmPanel);

// 32 codes as fp16 values times 2^-8.
inline __m512i half_bits(const uint8_t* codes) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
  const __m512i words = _mm512_slli_epi16(_mm512_cvtepi8_epi16(bytes), 7);
  return _mm512_and_si512(words, _mm512_set1_epi16(static_cast<int16_t>(0xbf80)));
}

// Turns magnitude 0x7F, which alone carries into bit 14 here, into an fp16 NaN.
inline __m512i keep_nan(__m512i half) {
  const __m512i carry = _mm512_add_epi16(half, _mm512_set1_epi16(0x80));
  return _mm512_or_si512(half, _mm512_and_si512(carry, _mm512_set1_epi16(0x4000)));
}

inline __m512 low_values(__m512i half) { return _mm512_cvtph_ps(_mm512_castsi512_si256(half)); }
inline __m512 high_values(__m512i half) {
  return _mm512_cvtph_ps(_mm512_extracti64x4_epi64(half, 1));
}

// 2^(scale - 119) for 16 scale bytes; infinity at 247, where multiply's callers stop.
inline __m512 panel_factors(const uint8_t* scales) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales));
  const __m512i exponents = _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(8));
  return _mm512_castsi512_ps(_mm512_slli_epi32(exponents, 23));
}

void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* out = static_cast<float*>(row);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const uint32_t scale = scales[block];
    const int32_t bits = scale == 0xff ? 0x7fc00000 : static_cast<int32_t>((scale + 8) << 23);
    const __m512 factor = _mm512_castsi512_ps(_mm512_set1_epi32(bits));
    const __m512i half = keep_nan(half_bits(codes + block * kBlock));
    float* values = out + block * kBlock;
    _mm512_store_ps(values, _mm512_mul_ps(low_values(half), factor));
    _mm512_store_ps(values + kLanes, _mm512_mul_ps(high_values(half), factor));
  }
}

// out: [depth][32].
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* out = static_cast<float*>(panel);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const __m512 low_factor = panel_factors(scales + block * kGemmPanel);
    const __m512 high_factor = panel_factors(scales + block * kGemmPanel + kLanes);
    for (int64_t t = block * kBlock; t < (block + 1) * kBlock; ++t) {
      const __m512i half = half_bits(codes + t * kGemmPanel);
      float* row = out + t * kGemmPanel;
      _mm512_store_ps(row, _mm512_mul_ps(low_values(half), low_factor));
      _mm512_store_ps(row + kLanes, _mm512_mul_ps(high_values(half), high_factor));
    }
  }
}

inline void store_sum(float* c, __m512 sum, bool accumulate) {
  _mm512_store_ps(c, accumulate ? _mm512_add_ps(_mm512_load_ps(c), sum) : sum);
}

template <int64_t Rows>
void multiply_tile(const float* activations, const float* weights, int64_t depth, bool accumulate,
                   float* c) {
  __m512 sum[Rows][kVectors];
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    MXVIDEO_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      _mm_prefetch(reinterpret_cast<const char*>(c + r * kGemmPanel + v * kLanes), _MM_HINT_T0);
      sum[r][v] = _mm512_setzero_ps();
    }
  }
  for (int64_t t = 0; t < depth; ++t) {
    const __m512 low = _mm512_load_ps(weights + t * kGemmPanel);
    const __m512 high = _mm512_load_ps(weights + t * kGemmPanel + kLanes);
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      const __m512 activation = _mm512_set1_ps(activations[r * kRowStride + t]);
      sum[r][0] = _mm512_fmadd_ps(activation, low, sum[r][0]);
      sum[r][1] = _mm512_fmadd_ps(activation, high, sum[r][1]);
    }
  }
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    MXVIDEO_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      store_sum(c + r * kGemmPanel + v * kLanes, sum[r][v], accumulate);
    }
  }
}

using TileFunction = void (*)(const float*, const float*, int64_t, bool, float*);
constexpr TileFunction kTiles[kTileRows] = {
    multiply_tile<1>, multiply_tile<2>,  multiply_tile<3>,  multiply_tile<4>,
    multiply_tile<5>, multiply_tile<6>,  multiply_tile<7>,  multiply_tile<8>,
    multiply_tile<9>, multiply_tile<10>, multiply_tile<11>, multiply_tile<12>};

void multiply(const void* activations, const void* panel, int64_t rows, int64_t depth,
              bool accumulate, float* c) {
  const auto* x = static_cast<const float*>(activations);
  const auto* weights = static_cast<const float*>(panel);
  for_tiles(rows, kTileRows, [&](int64_t first, int64_t count) {
    kTiles[count - 1](x + first * kRowStride, weights, depth, accumulate, c + first * kGemmPanel);
  });
}

}  // namespace

const GemmMicroKernel kGemmMxAvx512 = {
    .row_bytes = kRowStride * 4,
    .decode_activation = decode_activation,
    .decode_panel = decode_panel,
    .multiply = multiply,
};

}  // namespace mxvideo::kernels
