#include <immintrin.h>

#include "bench/roof_kernels.h"
#include "kernels/common/unroll.h"

namespace mxvideo::bench {
namespace {

struct Simd {
  using Vec = __m256;
  static constexpr int64_t kLanes = 8;
  static constexpr int64_t kChains = 12;
  static Vec set1(float value) { return _mm256_set1_ps(value); }
  static Vec load(const float* p) { return _mm256_load_ps(p); }
  static void store(float* p, Vec v) { _mm256_store_ps(p, v); }
  static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static Vec multiply_add(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
};

}  // namespace
}  // namespace mxvideo::bench

#include "bench/roof-inl.h"

namespace mxvideo::bench {

const RoofKernels kRoofAvx2 = {
    .flops_per_step = 2 * Simd::kLanes * Simd::kChains,
    .multiply_add = multiply_add,
    .read = read,
};

}  // namespace mxvideo::bench
