// oneDNN's sgemm on the calling thread alone: a product of fixed order of summation, for the tiles
// of kernels that are parallel themselves. Reentrant.
#pragma once

#include <cstdint>

namespace mxvideo::kernels {

// c[m, n] (+)= a[m, k] · b, all row-major with strides in floats.
struct SgemmArgs {
  const float* a = nullptr;
  int64_t a_stride = 0;
  const float* b = nullptr;  // [k, n], or [n, k] when b_transposed
  int64_t b_stride = 0;
  bool b_transposed = false;
  float* c = nullptr;
  int64_t c_stride = 0;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool add = false;  // to what c holds
};

// sgemm packs and blocks inside, in memory of its own; when it gets none, plain loops take over.
void sgemm(const SgemmArgs& args) noexcept;

}  // namespace mxvideo::kernels
