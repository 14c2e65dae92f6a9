// The inner loops of gemm_mxfp8 that differ between instruction sets.
//
// ISA objects include this header and the intrinsics, nothing else: plain pointers, integers and
// no function definition, so that no code compiled for one instruction set can be linked into the
// rest of the program.
#pragma once

#include <cstdint>

namespace mxvideo::kernels {

// One block of the product lives in a thread's caches: decoded activations [kGemmRows, kGemmDepth]
// in L2, one decoded weight panel [kGemmDepth, kGemmPanel] in L1; beyond, the sums of each panel of
// kGemmColumns features, [kGemmRows, kGemmPanel].
inline constexpr int64_t kGemmPanel = 32;  // output features in a weight panel
inline constexpr int64_t kGemmRows = 192;
inline constexpr int64_t kGemmDepth = 256;  // part of k that is summed before it joins the sums
inline constexpr int64_t kGemmColumns = 1024;
// Floats between decoded activation rows: no power of two, so that the rows of a tile lie in
// different cache sets.
inline constexpr int64_t kGemmActivationStride = kGemmDepth + 16;

struct GemmMicroKernel {
  // out[t] = e4m3(codes[t]) · 2^(scales[t/32] - 127), exact; NaN for code 0x7F, 0xFF, scale 0xFF.
  // Any scale up to 246 or 0xFF. `depth` is a multiple of 32.
  void (*decode_activation)(const uint8_t* codes, const uint8_t* scales, int64_t depth, float* out);

  // Decodes depth · kGemmPanel weights of one panel (gemm_mxfp8.h) to `out`, in the order that
  // `multiply` reads. Scales up to 246; no NaN codes.
  void (*decode_panel)(const uint8_t* codes, const uint8_t* scales, int64_t depth, float* out);

  // sum[i][j] = Σ_t activations[i][t] · weights[t][j] for i < rows, j < kGemmPanel, with one fp32
  // FMA per term in the order of t; then c = sum, or c += sum with `accumulate`.
  // Row strides: kGemmActivationStride and kGemmPanel.
  void (*multiply)(const float* activations, const float* weights, int64_t rows, int64_t depth,
                   bool accumulate, float* c);
};

extern const GemmMicroKernel kGemmMxfp8Avx2;
extern const GemmMicroKernel kGemmMxfp8Avx512;

}  // namespace mxvideo::kernels
