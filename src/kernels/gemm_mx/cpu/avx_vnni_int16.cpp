// gemm_mx on 16-bit integers for AVX-VNNI: int16_ymm-inl.h with VPDPWSSD.
#include "kernels/common/dot-inl.h"
#include "kernels/gemm_mx/cpu/int16_ymm-inl.h"

namespace mxvideo::kernels {
namespace {

inline void multiply_add(__m256i& sum, __m256i activations, __m256i weights) {
  sum = add_word_products(sum, activations, weights);
}

}  // namespace

const GemmMicroKernel kGemmMxAvxVnniInt16 = kMicroKernel<E4m3>;
const GemmMicroKernel kGemmMxint8AvxVnniInt16 = kMicroKernel<Int8>;

}  // namespace mxvideo::kernels
