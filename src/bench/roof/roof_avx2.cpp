#include <immintrin.h>

#include "bench/roof/read-inl.h"
#include "bench/roof/roof-inl.h"

namespace mxvideo::bench {
namespace {

struct Fp32Fma {
  using Vec = __m256;
  static constexpr int64_t kLanes = 8;
  static constexpr int64_t kOperations = 2 * kLanes;
  static constexpr int64_t kChains = 12;
  static Vec zero() { return _mm256_setzero_ps(); }
  static Vec start(int64_t i) { return _mm256_set1_ps(static_cast<float>(i)); }
  static Vec load(const float* p) { return _mm256_load_ps(p); }
  static Vec join(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static Vec step(Vec sum) {
    return _mm256_fmadd_ps(sum, _mm256_set1_ps(0.5f), _mm256_set1_ps(1.0f));
  }
  static float first(Vec v) { return _mm256_cvtss_f32(v); }
};

// The product takes part of the sum: a constant one would leave the loop.
struct Int16Madd {
  using Vec = __m256i;
  static constexpr int64_t kOperations = int64_t{2} * 16;
  static constexpr int64_t kChains = 12;
  static Vec start(int64_t i) { return _mm256_set1_epi32(static_cast<int>(i)); }
  static Vec join(Vec a, Vec b) { return _mm256_add_epi32(a, b); }
  static Vec step(Vec sum) {
    const Vec product = _mm256_madd_epi16(sum, _mm256_set1_epi16(3));
    // In place: left alone, GCC 12 makes all products first and spills.
    asm volatile("vpaddd %1, %0, %0" : "+x"(sum) : "x"(product));
    return sum;
  }
  static float first(Vec v) {
    return static_cast<float>(_mm_cvtsi128_si32(_mm256_castsi256_si128(v)));
  }
};

}  // namespace

const RoofKernel kRoofFp32FmaAvx2 = roof_kernel<Fp32Fma>();
const RoofKernel kRoofInt16MaddAvx2 = roof_kernel<Int16Madd>();
const ReadKernel kReadAvx2 = read_all<Fp32Fma>;

}  // namespace mxvideo::bench
