#include <immintrin.h>

#include "bench/roof/roof-inl.h"
#include "kernels/common/dot-inl.h"

namespace mxvideo::bench {
namespace {

struct Int32Sums {
  using Vec = __m256i;
  static constexpr int64_t kChains = 12;
  static Vec start(int64_t i) { return _mm256_set1_epi32(static_cast<int>(i)); }
  static Vec join(Vec a, Vec b) { return _mm256_add_epi32(a, b); }
  static float first(Vec v) {
    return static_cast<float>(_mm_cvtsi128_si32(_mm256_castsi256_si128(v)));
  }
};

struct Int8Dot : Int32Sums {
  static constexpr int64_t kOperations = int64_t{2} * 32;
  static Vec step(Vec sum) {
    return kernels::add_byte_products(sum, _mm256_set1_epi8(3), _mm256_set1_epi8(5));
  }
};

struct Int16Dot : Int32Sums {
  static constexpr int64_t kOperations = int64_t{2} * 16;
  static Vec step(Vec sum) {
    return kernels::add_word_products(sum, _mm256_set1_epi16(3), _mm256_set1_epi16(5));
  }
};

}  // namespace

const RoofKernel kRoofInt8VnniAvx = roof_kernel<Int8Dot>();
const RoofKernel kRoofInt16MaddAvxVnni = roof_kernel<Int16Dot>();

}  // namespace mxvideo::bench
