// gemm_mx for AVX-512 F + BW + BF16, on operands in bf16 (bf16-inl.h).
//
// VDPBF16PS multiplies 32 elements at once, as many as VPDPWSSD, and as scales are in the operands
// nothing else is left to do: 24 sums stay in registers for a whole part of k.
//
// Tile: 12 activation rows x 32 features: 24 sums, 2 weights, a broadcast pair. A decoded panel is
// 16 KiB and stays in L1 while all row tiles pass.
//
// Order of sums (Intel's pseudocode of VDPBF16PS, which Zen 5 follows bit for bit): of each pair
// the second element, then the first, each by one FMA that takes and makes no subnormals.
#include "kernels/common/dot-inl.h"
#include "kernels/common/unroll.h"
#include "kernels/gemm_mx/cpu/bf16-inl.h"
#include "kernels/gemm_mx/cpu/tiles-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kTileRows = 12;
static_assert(kGemmRowGrain % kTileRows == 0);

template <int64_t Rows>
void multiply_tile(const char* rows, const char* panel, int64_t pairs, bool accumulate, float* c) {
  __m512 sum[Rows][2];
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    const float* from = c + r * kGemmPanel;
    sum[r][0] = accumulate ? _mm512_load_ps(from) : _mm512_setzero_ps();
    sum[r][1] = accumulate ? _mm512_load_ps(from + kLanes) : _mm512_setzero_ps();
  }
  for (int64_t pair = 0; pair < pairs; ++pair) {
    const __m512i low = _mm512_load_si512(panel + pair * kPairBytes);
    const __m512i high = _mm512_load_si512(panel + pair * kPairBytes + kLanes * 4);
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      int bits;
      __builtin_memcpy(&bits, rows + r * kRowBytes + pair * 4, 4);
      const __m512i activations = _mm512_set1_epi32(bits);
      sum[r][0] = add_bf16_products(sum[r][0], activations, low);
      sum[r][1] = add_bf16_products(sum[r][1], activations, high);
    }
  }
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    _mm512_store_ps(c + r * kGemmPanel, sum[r][0]);
    _mm512_store_ps(c + r * kGemmPanel + kLanes, sum[r][1]);
  }
}

using TileFunction = void (*)(const char*, const char*, int64_t, bool, float*);
constexpr TileFunction kTiles[kTileRows] = {
    multiply_tile<1>, multiply_tile<2>,  multiply_tile<3>,  multiply_tile<4>,
    multiply_tile<5>, multiply_tile<6>,  multiply_tile<7>,  multiply_tile<8>,
    multiply_tile<9>, multiply_tile<10>, multiply_tile<11>, multiply_tile<12>};

void multiply(const void* activations, const void* panel, int64_t rows, int64_t depth,
              bool accumulate, float* c) {
  for_tiles(rows, kTileRows, [&](int64_t first, int64_t count) {
    kTiles[count - 1](static_cast<const char*>(activations) + first * kRowBytes,
                      static_cast<const char*>(panel), depth / 2, accumulate,
                      c + first * kGemmPanel);
  });
}

template <class Element>
constexpr GemmMicroKernel kMicroKernel = {
    .row_bytes = kRowBytes,
    .decode_activation = decode_activation<Element>,
    .decode_panel = decode_panel<Element>,
    .multiply = multiply,
};

}  // namespace

const GemmMicroKernel kGemmMxAvx512Bf16 = kMicroKernel<E4m3>;
const GemmMicroKernel kGemmMxint8Avx512Bf16 = kMicroKernel<Int8>;

}  // namespace mxvideo::kernels
