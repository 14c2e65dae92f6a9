// gemm_mxfp8 on INT8 elements for AVX-512 F + BW + VNNI.
//
// VPDPBUSD multiplies 64 pairs of bytes and adds them by fours, but takes one operand unsigned:
// activations are stored as x + 128, and the sums start at -128 · Σ w of the block, which decoding
// the panel computes once. All of it is exact in int32; as on int16, the block's sum is converted,
// multiplied by both scales and joins the fp32 sums, in the same order.
//
// Tile: 12 activation rows x 32 features; 24 of the 32 registers hold sums. A decoded panel is 8
// KiB and stays in L1 while all row tiles pass.
//
// Bound: the conversion of a block's sums, three instructions for eight VPDPBUSD. Not timed yet on
// a machine with AVX-512; its results are tested on every machine through SIMDe.
#include <immintrin.h>

#include "kernels/common/unroll.h"
#include "kernels/gemm_mxfp8/micro_kernel.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kTileRows = 12;
constexpr int64_t kBlock = 32;          // elements that share a scale
constexpr int64_t kQuads = kBlock / 4;  // of elements, multiplied by one instruction
constexpr int64_t kBlocks = kGemmDepth / kBlock;

// A decoded row: [kGemmDepth] x + 128, then a factor for each block.
constexpr int64_t kRowBytes = kGemmDepth + 64;
static_assert(kBlocks * 4 <= 64 && kRowBytes <= kGemmRowBytes);
// A decoded panel: [kGemmDepth / 4][32][4] bytes; [kBlocks][32] int32, where sums start;
// [kBlocks][32] factors.
constexpr int64_t kQuadBytes = kGemmPanel * 4;
constexpr int64_t kPanelValueBytes = kGemmDepth / 4 * kQuadBytes;
constexpr int64_t kStartBytes = kBlocks * kGemmPanel * 4;
static_assert(kPanelValueBytes + 2 * kStartBytes <= kGemmPanelBytes);

inline __m256i load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
inline void store(__m256i values, void* to) {
  _mm256_store_si256(static_cast<__m256i*>(to), values);
}

void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* values = static_cast<char*>(row);
  auto* factors = reinterpret_cast<float*>(values + kGemmDepth);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const __m256i block_codes = load(codes + block * kBlock);
    store(_mm256_xor_si256(block_codes, _mm256_set1_epi8(-128)), values + block * kBlock);
    // 2^(scale - 127 - 6), by way of a normal number.
    const auto bits = static_cast<int32_t>((uint32_t{scales[block]} + 8) << 23);
    const float normal = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bits)));
    factors[block] = scales[block] == 0xff ? __builtin_nanf("") : normal * 0x1p-14f;
  }
}

// Four rows of a panel, to fours of consecutive elements of one feature.
inline void interleave_quads(const uint8_t* codes, char* out) {
  const __m256i row0 = load(codes), row1 = load(codes + kGemmPanel);
  const __m256i row2 = load(codes + 2 * kGemmPanel), row3 = load(codes + 3 * kGemmPanel);
  // Features 0 to 7 and 16 to 23 in the two lanes, then 8 to 15 and 24 to 31.
  const __m256i low_01 = _mm256_unpacklo_epi8(row0, row1);
  const __m256i low_23 = _mm256_unpacklo_epi8(row2, row3);
  const __m256i high_01 = _mm256_unpackhi_epi8(row0, row1);
  const __m256i high_23 = _mm256_unpackhi_epi8(row2, row3);
  // Features 0 to 3 and 16 to 19, 4 to 7 and 20 to 23, and so on.
  const __m256i a = _mm256_unpacklo_epi16(low_01, low_23);
  const __m256i b = _mm256_unpackhi_epi16(low_01, low_23);
  const __m256i c = _mm256_unpacklo_epi16(high_01, high_23);
  const __m256i d = _mm256_unpackhi_epi16(high_01, high_23);
  store(_mm256_permute2x128_si256(a, b, 0x20), out);
  store(_mm256_permute2x128_si256(c, d, 0x20), out + 32);
  store(_mm256_permute2x128_si256(a, b, 0x31), out + 64);
  store(_mm256_permute2x128_si256(c, d, 0x31), out + 96);
}

void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* values = static_cast<char*>(panel);
  auto* starts = values + kPanelValueBytes;
  auto* factors = reinterpret_cast<float*>(starts + kStartBytes);
  for (int64_t t = 0; t < depth; t += 4) {
    interleave_quads(codes + t * kGemmPanel, values + t / 4 * kQuadBytes);
  }
  const __m512i zero_activation = _mm512_set1_epi8(-128);  // 0 + 128, as an unsigned byte
  for (int64_t i = 0; i < depth / kBlock * kGemmPanel; i += kLanes) {
    const char* quads = values + i / kGemmPanel * kQuads * kQuadBytes + i % kGemmPanel * 4;
    __m512i sum = _mm512_setzero_si512();
    for (int64_t q = 0; q < kQuads; ++q) {
      sum = _mm512_dpbusd_epi32(sum, zero_activation, _mm512_load_si512(quads + q * kQuadBytes));
    }
    _mm512_store_si512(starts + i * 4, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + i));
    const __m512i exponents = _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(8));
    const __m512 normal = _mm512_castsi512_ps(_mm512_slli_epi32(exponents, 23));
    _mm512_store_ps(factors + i, _mm512_mul_ps(normal, _mm512_set1_ps(0x1p-14f)));
  }
}

// c += the sum of one block, scaled.
inline void add_block(__m512i sum, __m512 weight_factors, __m512 row_factors, float* c) {
  const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), weight_factors);
  _mm512_store_ps(c, _mm512_fmadd_ps(scaled, row_factors, _mm512_load_ps(c)));
}

template <int64_t Rows>
void multiply_tile(const char* rows, const char* weights, int64_t depth, float* c) {
  const char* starts = weights + kPanelValueBytes;
  const auto* weight_factors = reinterpret_cast<const float*>(starts + kStartBytes);
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    _mm_prefetch(reinterpret_cast<const char*>(c + (Rows + r) * kGemmPanel), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(c + (Rows + r) * kGemmPanel + kLanes), _MM_HINT_T0);
  }
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    __m512i sum[Rows][2];
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      sum[r][0] = _mm512_load_si512(starts + block * kGemmPanel * 4);
      sum[r][1] = _mm512_load_si512(starts + block * kGemmPanel * 4 + 64);
    }
    for (int64_t q = 0; q < kQuads; ++q) {
      const char* quad_weights = weights + (block * kQuads + q) * kQuadBytes;
      const __m512i low = _mm512_load_si512(quad_weights);
      const __m512i high = _mm512_load_si512(quad_weights + 64);
      MXVIDEO_UNROLL
      for (int64_t r = 0; r < Rows; ++r) {
        int quad;
        __builtin_memcpy(&quad, rows + r * kRowBytes + block * kBlock + q * 4, 4);
        const __m512i activations = _mm512_set1_epi32(quad);
        sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], activations, low);
        sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], activations, high);
      }
    }
    const __m512 low_factors = _mm512_load_ps(weight_factors + block * kGemmPanel);
    const __m512 high_factors = _mm512_load_ps(weight_factors + block * kGemmPanel + kLanes);
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      const auto* factors = reinterpret_cast<const float*>(rows + r * kRowBytes + kGemmDepth);
      const __m512 factor = _mm512_set1_ps(factors[block]);
      float* out = c + r * kGemmPanel;
      add_block(sum[r][0], low_factors, factor, out);
      add_block(sum[r][1], high_factors, factor, out + kLanes);
    }
  }
}

using TileFunction = void (*)(const char*, const char*, int64_t, float*);
constexpr TileFunction kTiles[kTileRows] = {
    multiply_tile<1>, multiply_tile<2>,  multiply_tile<3>,  multiply_tile<4>,
    multiply_tile<5>, multiply_tile<6>,  multiply_tile<7>,  multiply_tile<8>,
    multiply_tile<9>, multiply_tile<10>, multiply_tile<11>, multiply_tile<12>};

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
    kTiles[count - 1](static_cast<const char*>(activations) + first * kRowBytes,
                      static_cast<const char*>(panel), depth, c + first * kGemmPanel);
  }
}

}  // namespace

const GemmMicroKernel kGemmMxint8Avx512VnniInt8 = {
    .row_bytes = kRowBytes,
    .decode_activation = decode_activation,
    .decode_panel = decode_panel,
    .multiply = multiply,
};

}  // namespace mxvideo::kernels
