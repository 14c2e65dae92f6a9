#include <immintrin.h>

#include "bench/roof/roof-inl.h"
#include "kernels/common/dot-inl.h"

namespace mxvideo::bench {
namespace {

struct Bf16Dot {
  using Vec = __m512;
  static constexpr int64_t kOperations = int64_t{2} * 32;
  static constexpr int64_t kChains = 24;
  static Vec start(int64_t i) { return _mm512_set1_ps(static_cast<float>(i)); }
  static Vec join(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static Vec step(Vec sum) {
    const __m512i half = _mm512_set1_epi16(0x3f00);
    return kernels::add_bf16_products(sum, half, half);
  }
  static float first(Vec v) { return _mm512_cvtss_f32(v); }
};

}  // namespace

const RoofKernel kRoofBf16DotAvx512 = roof_kernel<Bf16Dot>();

}  // namespace mxvideo::bench
