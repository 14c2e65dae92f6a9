#include "kernels/common/sgemm.h"

#include <oneapi/dnnl/dnnl.h>

#include "kernels/common/single_thread.h"

namespace mxvideo::kernels {
namespace {

void multiply_plainly(const SgemmArgs& args) noexcept {
  const int64_t b_row = args.b_transposed ? 1 : args.b_stride;
  const int64_t b_column = args.b_transposed ? args.b_stride : 1;
  for (int64_t i = 0; i < args.m; ++i) {
    for (int64_t j = 0; j < args.n; ++j) {
      float& sum = args.c[i * args.c_stride + j];
      if (!args.add) sum = 0;
      for (int64_t t = 0; t < args.k; ++t) {
        sum += args.a[i * args.a_stride + t] * args.b[t * b_row + j * b_column];
      }
    }
  }
}

}  // namespace

void sgemm(const SgemmArgs& args) noexcept {
  // A single task of parallel_for runs outside of any parallel region; oneDNN would open one.
  const SingleThread single_thread;
  const dnnl_status_t status = dnnl_sgemm(
      'N', args.b_transposed ? 'T' : 'N', args.m, args.n, args.k, 1.0f, args.a, args.a_stride,
      args.b, args.b_stride, args.add ? 1.0f : 0.0f, args.c, args.c_stride);
  // Only its own buffers can fail it, for want of memory; the result must not suffer.
  if (status != dnnl_success) multiply_plainly(args);
}

}  // namespace mxvideo::kernels
