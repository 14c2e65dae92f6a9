// oneDNN's sgemm on one tile, one panel of k after the other, into scratch; then the epilogue.
// F32 weights are copied like the others are decoded: their rows are often a power of two apart and
// would share cache sets (a third slower on 512 × 10,240 × 4,096). sgemm packs and blocks inside;
// on one thread its order of summation follows from the shape alone.
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>

#include "base/parallel.h"
#include "kernels/matmul/rows.h"

namespace mxvideo::kernels {
namespace {

// While it lives, oneDNN runs on the calling thread only: when parallel_for has a single task, it
// runs outside of any parallel region, and sgemm would start threads and split k by their number.
class SingleThread {
 public:
  SingleThread() : threads_(num_threads()) { set_num_threads(1); }
  ~SingleThread() { set_num_threads(threads_); }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  int threads_;
};

// One product: c[m, n] (+)= x[m, depth] · w[n, depth]ᵀ, rows of c kMatmulTileColumns apart.
struct Panel {
  const float* x;
  int64_t x_stride;
  const float* w;
  int64_t w_stride;
  int64_t m, n, depth;
  bool add;
};

void multiply_plainly(const Panel& p, float* c) noexcept {
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      float& sum = c[i * kMatmulTileColumns + j];
      if (!p.add) sum = 0;
      for (int64_t t = 0; t < p.depth; ++t) {
        sum += p.x[i * p.x_stride + t] * p.w[j * p.w_stride + t];
      }
    }
  }
}

void multiply(const Panel& p, float* c) noexcept {
  const dnnl_status_t status = dnnl_sgemm('N', 'T', p.m, p.n, p.depth, 1.0f, p.x, p.x_stride, p.w,
                                          p.w_stride, p.add ? 1.0f : 0.0f, c, kMatmulTileColumns);
  // Only its own buffers can fail it, for want of memory; the result must not suffer.
  if (status != dnnl_success) multiply_plainly(p, c);
}

}  // namespace

void matmul_onednn(const MatmulArgs& args) noexcept {
  const SingleThread single_thread;
  float* const decoded = args.scratch;
  float* const sums = args.scratch + kMatmulTileColumns * kMatmulTileDepth;
  const int64_t element = dtype_size(args.weight_dtype);
  for (int64_t first = 0; first < args.k; first += kMatmulTileDepth) {
    const int64_t depth = std::min(kMatmulTileDepth, args.k - first);
    for (int64_t j = 0; j < args.n; ++j) {
      const std::byte* row = args.weight + (j * args.k + first) * element;
      decode_weights(row, args.weight_dtype, depth, decoded + j * depth);
    }
    const Panel panel = {.x = args.x + first,
                         .x_stride = args.x_stride,
                         .w = decoded,
                         .w_stride = depth,
                         .m = args.m,
                         .n = args.n,
                         .depth = depth,
                         .add = first > 0};
    multiply(panel, sums);
  }
  const EpilogueArgs epilogue = matmul_epilogue(args);
  for (int64_t i = 0; i < args.m; ++i) {
    apply_epilogue(epilogue, i, 0, sums + i * kMatmulTileColumns, args.y + i * args.y_stride,
                   args.n);
  }
}

}  // namespace mxvideo::kernels
