#include <immintrin.h>

#include "bench/roof/read-inl.h"
#include "bench/roof/roof-inl.h"

namespace mxvideo::bench {
namespace {

struct Fp32Fma {
  using Vec = __m512;
  static constexpr int64_t kLanes = 16;
  static constexpr int64_t kOperations = 2 * kLanes;
  static constexpr int64_t kChains = 24;
  static Vec zero() { return _mm512_setzero_ps(); }
  static Vec start(int64_t i) { return _mm512_set1_ps(static_cast<float>(i)); }
  static Vec load(const float* p) { return _mm512_load_ps(p); }
  static Vec join(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static Vec step(Vec sum) {
    return _mm512_fmadd_ps(sum, _mm512_set1_ps(0.5f), _mm512_set1_ps(1.0f));
  }
  static float first(Vec v) { return _mm512_cvtss_f32(v); }
};

}  // namespace

const RoofKernel kRoofFp32FmaAvx512 = roof_kernel<Fp32Fma>();
const ReadKernel kReadAvx512 = read_all<Fp32Fma>;

}  // namespace mxvideo::bench
