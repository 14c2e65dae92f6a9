// The inner loops of gemm_mx that differ between instruction sets.
//
// ISA objects include this header and the intrinsics, nothing else: plain pointers, integers and
// no function definition, so that no code compiled for one instruction set can be linked into the
// rest of the program.
#pragma once

#include <cstdint>

namespace mxvideo::kernels {

// One block of the product lives in a thread's caches: decoded activations [rows, kGemmDepth] in
// L2, one decoded weight panel [kGemmDepth, kGemmPanel] in L1; beyond, the sums of each panel,
// [rows, kGemmPanel]. The more rows, the rarer a panel is decoded.
inline constexpr int64_t kGemmPanel = 32;   // output features in a weight panel
inline constexpr int64_t kGemmDepth = 256;  // part of k that is summed before it joins the sums
inline constexpr int64_t kGemmActivationBytes = int64_t{216} * 1024;
inline constexpr int64_t kGemmMaxRows = 384;
inline constexpr int64_t kGemmSums = int64_t{192} * 1024;
// Rows that a call of multiply() gets at most: a multiple of every tile's height.
inline constexpr int64_t kGemmRowGrain = 96;
// What a decoded row of activations and a decoded panel of weights need at most, in bytes.
inline constexpr int64_t kGemmRowBytes = kGemmDepth * 4 + 64;
inline constexpr int64_t kGemmPanelBytes = kGemmDepth * kGemmPanel * 4;

// How operands look when decoded is a kernel's own matter; both arrays are aligned to 64 bytes.
// `depth` is a multiple of 32.
struct GemmMicroKernel {
  // Bytes between decoded rows: a multiple of 64 and no power of two, so that the rows of a tile
  // lie in different cache sets.
  int64_t row_bytes;

  // One row, element(codes[t]) · 2^(scales[t/32] - 127). An E4M3 code 0x7F or 0xFF or a scale 0xFF
  // makes every sum of the row NaN. Any scale up to 246 or 0xFF.
  void (*decode_activation)(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row);

  // depth · kGemmPanel weights of one panel (gemm_mx.h). Scales up to 246; no NaN codes.
  void (*decode_panel)(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel);

  // sum[i][j] = Σ_t activations[i][t] · weights[t][j] for i < rows, j < kGemmPanel, in an order
  // that depends on depth only; then c = sum, or c += sum with `accumulate`; stride kGemmPanel.
  void (*multiply)(const void* activations, const void* panel, int64_t rows, int64_t depth,
                   bool accumulate, float* c);
};

// fp32 on E4M3: exact decoding, one FMA per term in the order of t.
extern const GemmMicroKernel kGemmMxAvx2;
extern const GemmMicroKernel kGemmMxAvx512;

// fp32 on either element, by the widest vectors of this CPU that Highway knows: the same results.
const GemmMicroKernel& gemm_mx_highway(bool int8);

// int16: E4M3 elements as multiples of 2^-4 of their block's scale, to the nearest (halves away
// from zero), which is exact for those of at least 1/2; INT8 elements exactly. The 32 products of a
// block are added in int32, which holds them exactly; the sum of each block joins the fp32 sums by
// one FMA.
extern const GemmMicroKernel kGemmMxAvx2Int16;
extern const GemmMicroKernel kGemmMxAvxVnniInt16;
extern const GemmMicroKernel kGemmMxAvx512VnniInt16;
extern const GemmMicroKernel kGemmMxint8Avx2Int16;
extern const GemmMicroKernel kGemmMxint8AvxVnniInt16;
extern const GemmMicroKernel kGemmMxint8Avx512VnniInt16;

// int8 on E4M3 elements: multiples of 4 of their block's scale, to the nearest (halves away from
// zero).
extern const GemmMicroKernel kGemmMxAvx512VnniFast;

// int8 on INT8 elements: the same results as int16.
extern const GemmMicroKernel kGemmMxint8Avx512VnniInt8;

// bf16: both elements exactly, in orders of sums of their own (amx_bf16.cpp, avx512_bf16.cpp).
// Scales of activations and weights from 32 on, or of blocks of zeros: operands, products and sums
// among the fp32 subnormals count as zero.
extern const GemmMicroKernel kGemmMxAmxBf16;
extern const GemmMicroKernel kGemmMxint8AmxBf16;
extern const GemmMicroKernel kGemmMxAvx512Bf16;
extern const GemmMicroKernel kGemmMxint8Avx512Bf16;

}  // namespace mxvideo::kernels
