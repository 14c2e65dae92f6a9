#include <immintrin.h>

#include "bench/roof/roof-inl.h"

namespace mxvideo::bench {
namespace {

struct Fp16Fma {
  using Vec = __m512h;
  static constexpr int64_t kOperations = int64_t{2} * 32;
  static constexpr int64_t kChains = 24;
  static Vec start(int64_t i) {
    return _mm512_cvtepi16_ph(_mm512_set1_epi16(static_cast<short>(i)));
  }
  static Vec join(Vec a, Vec b) { return _mm512_add_ph(a, b); }
  static Vec step(Vec sum) {
    const Vec half = _mm512_castsi512_ph(_mm512_set1_epi16(0x3800));
    const Vec one = _mm512_castsi512_ph(_mm512_set1_epi16(0x3c00));
    return _mm512_fmadd_ph(sum, half, one);
  }
  static float first(Vec v) {
    const __m512i bits = _mm512_castph_si512(v);
    return static_cast<float>(_mm512_cvtsi512_si32(bits));
  }
};

}  // namespace

const RoofKernel kRoofFp16FmaAvx512 = roof_kernel<Fp16Fma>();

}  // namespace mxvideo::bench
