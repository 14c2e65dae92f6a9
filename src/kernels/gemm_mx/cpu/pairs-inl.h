// Codes of a weight panel in the order of instructions that multiply pairs: for ISA files of
// gemm_mx with AVX2.
#pragma once

#include <immintrin.h>

#include "kernels/gemm_mx/cpu/micro_kernel.h"

namespace mxvideo::kernels {
namespace {

// Two consecutive codes of each feature side by side.
struct CodePairs {
  __m256i low;   // of features 0 to 15
  __m256i high;  // of features 16 to 31
};

// `codes`: two rows [kGemmPanel] of a panel.
inline CodePairs load_pairs(const uint8_t* codes) {
  const auto* rows = reinterpret_cast<const __m256i*>(codes);
  const __m256i even = _mm256_loadu_si256(rows);
  const __m256i odd = _mm256_loadu_si256(rows + 1);
  const __m256i outer = _mm256_unpacklo_epi8(even, odd);  // features 0 to 7, 16 to 23
  const __m256i inner = _mm256_unpackhi_epi8(even, odd);  // features 8 to 15, 24 to 31
  return {.low = _mm256_permute2x128_si256(outer, inner, 0x20),
          .high = _mm256_permute2x128_si256(outer, inner, 0x31)};
}

}  // namespace
}  // namespace mxvideo::kernels
