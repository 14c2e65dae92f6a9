// gemm_mxfp8 on 16-bit integers for AVX-512 F + BW + VNNI.
//
// VPDPWSSD multiplies and adds 32 elements at once: as many as AVX512-FP16's FMA, without its
// rounding.
//
// Tile: 12 activation rows x 32 features; 24 of the 32 registers hold sums, 2 hold weights, and
// pairs of activations are broadcast by the memory operand. A decoded panel is 16 KiB and stays in
// L1 while all row tiles pass.
//
// Bound: VPDPWSSD. Not timed yet on a machine with AVX-512; its results are tested on every machine
// through SIMDe.
#include "kernels/gemm_mxfp8/int16-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kTileRows = 12;

// A decoded panel: [kGemmDepth / 2][32][2] int16, pairs of consecutive elements of one feature;
// then [kBlocks][32] factors.
constexpr int64_t kPairBytes = kGemmPanel * 4;
constexpr int64_t kPanelValueBytes = kGemmDepth / 2 * kPairBytes;

// The values of 32 codes, in their order.
inline __m512i values_of(__m256i codes, Int8 /*element*/) { return _mm512_cvtepi8_epi16(codes); }

inline __m512i values_of(__m256i codes, E4m3 /*element*/) {
  // 2^(exponent - 2) for exponents 2 to 15; what lies below rounds to zero.
  const __m256i powers = _mm256_set_epi16(0x2000, 0x1000, 0x800, 0x400, 0x200, 0x100, 0x80, 0x40,
                                          0x20, 0x10, 8, 4, 2, 1, 0, 0);
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

template <class Element>
void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* values = static_cast<char*>(row);
  auto* factors = reinterpret_cast<float*>(values + kRowValueBytes);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const __m256i block_codes = load(codes + block * kBlock);
    _mm512_store_si512(values + block * kBlock * 2, values_of(block_codes, Element()));
    factors[block] = row_factor<Element>(scales[block], block_codes);
  }
}

template <class Element>
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* values = static_cast<char*>(panel);
  auto* factors = reinterpret_cast<float*>(values + kPanelValueBytes);
  for (int64_t t = 0; t < depth; t += 2) {
    const __m256i even = load(codes + t * kGemmPanel);
    const __m256i odd = load(codes + (t + 1) * kGemmPanel);
    const __m256i low = _mm256_unpacklo_epi8(even, odd);   // features 0 to 7, 16 to 23
    const __m256i high = _mm256_unpackhi_epi8(even, odd);  // features 8 to 15, 24 to 31
    char* pairs = values + t / 2 * kPairBytes;
    _mm512_store_si512(pairs, values_of(_mm256_permute2x128_si256(low, high, 0x20), Element()));
    _mm512_store_si512(pairs + 64,
                       values_of(_mm256_permute2x128_si256(low, high, 0x31), Element()));
  }
  for (int64_t i = 0; i < depth / kBlock * kGemmPanel; i += kLanes) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + i));
    const __m512i exponents = _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(8));
    const __m512 normal = _mm512_castsi512_ps(_mm512_slli_epi32(exponents, 23));
    _mm512_store_ps(factors + i,
                    _mm512_mul_ps(normal, _mm512_set1_ps(Element::kUnit)));  // as row_factor
  }
}

// c += the sum of one block, scaled.
inline void add_block(__m512i sum, __m512 weight_factors, __m512 row_factors, float* c) {
  const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), weight_factors);
  _mm512_store_ps(c, _mm512_fmadd_ps(scaled, row_factors, _mm512_load_ps(c)));
}

template <int64_t Rows>
void multiply_tile(const char* rows, const char* weights, int64_t depth, float* c) {
  const auto* weight_factors = reinterpret_cast<const float*>(weights + kPanelValueBytes);
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    _mm_prefetch(reinterpret_cast<const char*>(c + (Rows + r) * kGemmPanel), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(c + (Rows + r) * kGemmPanel + kLanes), _MM_HINT_T0);
  }
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    __m512i sum[Rows][2];
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
    const char* pairs = rows + block * kBlock * 2;
    for (int64_t p = 0; p < kPairs; ++p) {
      const char* pair_weights = weights + (block * kPairs + p) * kPairBytes;
      const __m512i low = _mm512_load_si512(pair_weights);
      const __m512i high = _mm512_load_si512(pair_weights + 64);
      MXVIDEO_UNROLL
      for (int64_t r = 0; r < Rows; ++r) {
        const __m512i activations = _mm512_set1_epi32(pair_at(pairs + r * kRowBytes, p));
        sum[r][0] = _mm512_dpwssd_epi32(sum[r][0], activations, low);
        sum[r][1] = _mm512_dpwssd_epi32(sum[r][1], activations, high);
      }
    }
    const __m512 low_factors = _mm512_load_ps(weight_factors + block * kGemmPanel);
    const __m512 high_factors = _mm512_load_ps(weight_factors + block * kGemmPanel + kLanes);
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      const auto* factors = reinterpret_cast<const float*>(rows + r * kRowBytes + kRowValueBytes);
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
    for (int64_t i = 0; i < rows * kGemmPanel; i += kLanes)
      _mm512_store_ps(c + i, _mm512_setzero_ps());
  }
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t first = rows * tile / tiles;
    const int64_t count = rows * (tile + 1) / tiles - first;
    kTiles[count - 1](static_cast<const char*>(activations) + first * kRowBytes,
                      static_cast<const char*>(panel), depth, c + first * kGemmPanel);
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

const GemmMicroKernel kGemmMxfp8Avx512VnniInt16 = kMicroKernel<E4m3>;
const GemmMicroKernel kGemmMxint8Avx512VnniInt16 = kMicroKernel<Int8>;

}  // namespace mxvideo::kernels
