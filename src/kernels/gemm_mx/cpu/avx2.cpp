// gemm_mx for AVX2 + FMA + F16C.
//
// Idea: E4M3 codes become fp16 by bit moves (exactly the value times 2^-8, subnormals included),
// F16C widens them to fp32, and one multiplication by 2^(scale-119) gives the scaled value,
// exactly. Decoding costs one pass over a panel for up to 192 activation rows; the rest is FMA.
//
// Tile: 6 activation rows x 16 features; 12 of the 16 registers hold sums, 2 hold weights, 1 the
// broadcast activation. A panel of 32 features is decoded as two halves of 16, each 16 KiB, so that
// the half in use stays in L1 while all row tiles pass. Up to 3 rows take all 32 features at once,
// for more independent sums.
//
// Bound: the fp32 FMA roof. Measured: 78 % of it (79.7 of 102.3 GFLOP/s, 1.03 times oneDNN's f32
// product) for m = 512, k = n = 3072 on one core of an AMD EPYC (Zen 3), 2026-11-22:
//   OMP_NUM_THREADS=1 mxvideo_bench --benchmark_filter=avx2/ti2v_5b/attn/m:512
#include <immintrin.h>

#include "kernels/common/unroll.h"
#include "kernels/gemm_mx/cpu/micro_kernel.h"
#include "kernels/gemm_mx/cpu/tiles-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kLanes = 8;
constexpr int64_t kHalf = 16;  // features in one half of a decoded panel
constexpr int64_t kTileRows = 6;
constexpr int64_t kWideTileRows = 3;
constexpr int64_t kBlock = 32;                   // elements that share a scale
constexpr int64_t kRowStride = kGemmDepth + 16;  // floats between decoded activation rows
static_assert(kRowStride * 4 <= kGemmRowBytes);

// 16 codes as fp16 values times 2^-8.
inline __m256i half_bits(const uint8_t* codes) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
  const __m256i words = _mm256_slli_epi16(_mm256_cvtepi8_epi16(bytes), 7);
  return _mm256_and_si256(words, _mm256_set1_epi16(static_cast<int16_t>(0xbf80)));
}

// Turns magnitude 0x7F, which alone carries into bit 14 here, into an fp16 NaN.
inline __m256i keep_nan(__m256i half) {
  const __m256i carry = _mm256_add_epi16(half, _mm256_set1_epi16(0x80));
  return _mm256_or_si256(half, _mm256_and_si256(carry, _mm256_set1_epi16(0x4000)));
}

inline __m256 low_values(__m256i half) { return _mm256_cvtph_ps(_mm256_castsi256_si128(half)); }
inline __m256 high_values(__m256i half) {
  return _mm256_cvtph_ps(_mm256_extracti128_si256(half, 1));
}

// 2^(scale - 119) for 8 scale bytes; infinity at 247, where multiply's callers stop.
inline __m256 panel_factors(const uint8_t* scales) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(scales));
  const __m256i exponents = _mm256_add_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(8));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponents, 23));
}

void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* out = static_cast<float*>(row);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const uint32_t scale = scales[block];
    const int32_t bits = scale == 0xff ? 0x7fc00000 : static_cast<int32_t>((scale + 8) << 23);
    const __m256 factor = _mm256_castsi256_ps(_mm256_set1_epi32(bits));
    for (int64_t t = block * kBlock; t < (block + 1) * kBlock; t += 2 * kLanes) {
      const __m256i half = keep_nan(half_bits(codes + t));
      _mm256_store_ps(out + t, _mm256_mul_ps(low_values(half), factor));
      _mm256_store_ps(out + t + kLanes, _mm256_mul_ps(high_values(half), factor));
    }
  }
}

// out: [2][kGemmDepth][16].
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* out = static_cast<float*>(panel);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    for (int64_t column = 0; column < kGemmPanel; column += kHalf) {
      const uint8_t* block_scales = scales + block * kGemmPanel + column;
      const __m256 low_factor = panel_factors(block_scales);
      const __m256 high_factor = panel_factors(block_scales + kLanes);
      float* half_panel = out + column * kGemmDepth;
      for (int64_t t = block * kBlock; t < (block + 1) * kBlock; ++t) {
        const __m256i half = half_bits(codes + t * kGemmPanel + column);
        float* row = half_panel + t * kHalf;
        _mm256_store_ps(row, _mm256_mul_ps(low_values(half), low_factor));
        _mm256_store_ps(row + kLanes, _mm256_mul_ps(high_values(half), high_factor));
      }
    }
  }
}

inline void store_sum(float* c, __m256 sum, bool accumulate) {
  _mm256_store_ps(c, accumulate ? _mm256_add_ps(_mm256_load_ps(c), sum) : sum);
}

// Rows x 8·Vectors outputs; weights of vector v, depth t: weights[v / 2][t][v % 2].
template <int64_t Rows, int64_t Vectors>
void multiply_tile(const float* activations, const float* weights, int64_t depth, bool accumulate,
                   float* c) {
  __m256 sum[Rows][Vectors];
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    _mm_prefetch(reinterpret_cast<const char*>(c + r * kGemmPanel), _MM_HINT_T0);
    MXVIDEO_UNROLL
    for (int64_t v = 0; v < Vectors; ++v) sum[r][v] = _mm256_setzero_ps();
  }
  for (int64_t t = 0; t < depth; ++t) {
    __m256 weight[Vectors];
    MXVIDEO_UNROLL
    for (int64_t v = 0; v < Vectors; ++v) {
      weight[v] =
          _mm256_load_ps(weights + (v / 2) * (kGemmDepth * kHalf) + t * kHalf + (v % 2) * kLanes);
    }
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      const __m256 activation = _mm256_broadcast_ss(activations + r * kRowStride + t);
      MXVIDEO_UNROLL
      for (int64_t v = 0; v < Vectors; ++v) {
        sum[r][v] = _mm256_fmadd_ps(activation, weight[v], sum[r][v]);
      }
    }
  }
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    MXVIDEO_UNROLL
    for (int64_t v = 0; v < Vectors; ++v) {
      store_sum(c + r * kGemmPanel + v * kLanes, sum[r][v], accumulate);
    }
  }
}

using TileFunction = void (*)(const float*, const float*, int64_t, bool, float*);
constexpr TileFunction kTiles[kTileRows] = {multiply_tile<1, 2>, multiply_tile<2, 2>,
                                            multiply_tile<3, 2>, multiply_tile<4, 2>,
                                            multiply_tile<5, 2>, multiply_tile<6, 2>};
constexpr TileFunction kWideTiles[kWideTileRows] = {multiply_tile<1, 4>, multiply_tile<2, 4>,
                                                    multiply_tile<3, 4>};

void multiply(const void* activations, const void* panel, int64_t rows, int64_t depth,
              bool accumulate, float* c) {
  const auto* x = static_cast<const float*>(activations);
  const auto* weights = static_cast<const float*>(panel);
  if (rows <= kWideTileRows) {
    kWideTiles[rows - 1](x, weights, depth, accumulate, c);
    return;
  }
  for (int64_t column = 0; column < kGemmPanel; column += kHalf) {
    const float* half_panel = weights + column * kGemmDepth;
    for_tiles(rows, kTileRows, [&](int64_t first, int64_t count) {
      kTiles[count - 1](x + first * kRowStride, half_panel, depth, accumulate,
                        c + first * kGemmPanel + column);
    });
  }
}

}  // namespace

const GemmMicroKernel kGemmMxAvx2 = {
    .row_bytes = kRowStride * 4,
    .decode_activation = decode_activation,
    .decode_panel = decode_panel,
    .multiply = multiply,
};

}  // namespace mxvideo::kernels
