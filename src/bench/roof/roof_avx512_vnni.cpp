#include <immintrin.h>

#include "bench/roof/roof-inl.h"
#include "kernels/common/dot-inl.h"

namespace mxvideo::bench {
namespace {

struct Int32Sums {
  using Vec = __m512i;
  static constexpr int64_t kChains = 24;
  static Vec start(int64_t i) { return _mm512_set1_epi32(static_cast<int>(i)); }
  static Vec join(Vec a, Vec b) { return _mm512_add_epi32(a, b); }
  static float first(Vec v) { return static_cast<float>(_mm512_cvtsi512_si32(v)); }
};

struct Int8Dot : Int32Sums {
  static constexpr int64_t kOperations = int64_t{2} * 64;
  static Vec step(Vec sum) {
    return kernels::add_byte_products(sum, _mm512_set1_epi8(3), _mm512_set1_epi8(5));
  }
};

struct Int16Dot : Int32Sums {
  static constexpr int64_t kOperations = int64_t{2} * 32;
  static Vec step(Vec sum) {
    return kernels::add_word_products(sum, _mm512_set1_epi16(3), _mm512_set1_epi16(5));
  }
};

}  // namespace

const RoofKernel kRoofInt8VnniAvx512 = roof_kernel<Int8Dot>();
const RoofKernel kRoofInt16MaddAvx512 = roof_kernel<Int16Dot>();

}  // namespace mxvideo::bench
