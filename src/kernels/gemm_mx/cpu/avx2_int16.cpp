// gemm_mx on 16-bit integers for AVX2: int16_ymm-inl.h with VPMADDWD and VPADDD.
#include "kernels/gemm_mx/cpu/int16_ymm-inl.h"

namespace mxvideo::kernels {
namespace {

inline void multiply_add(__m256i& sum, __m256i activations, __m256i weights) {
  const __m256i products = _mm256_madd_epi16(activations, weights);
  // In place and in this order: left alone, GCC 12 collects the products of a whole tile before it
  // adds them, and spills.
  asm volatile("vpaddd %1, %0, %0" : "+x"(sum) : "x"(products));
}

}  // namespace

const GemmMicroKernel kGemmMxAvx2Int16 = kMicroKernel<E4m3>;
const GemmMicroKernel kGemmMxint8Avx2Int16 = kMicroKernel<Int8>;

}  // namespace mxvideo::kernels
