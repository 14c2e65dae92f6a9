#include "kernels/warm_up.h"

#include "base/parallel.h"
#include "formats/mx_block.h"
#include "kernels/attention/attention.h"
#include "kernels/gemm_mx/cpu/mx_panels.h"
#include "kernels/matmul/matmul.h"
#include "tensor/tensor.h"

namespace mxvideo::kernels {
namespace {

// A block of each kernel for each thread.
constexpr int64_t kRows = 384;
constexpr int64_t kWidth = 512;

const uint8_t* bytes_of(const Tensor& tensor) {
  return reinterpret_cast<const uint8_t*>(tensor.data());
}

}  // namespace

void warm_up() {
  const int64_t rows = kRows * num_threads();
  const Tensor x = Tensor::zeros({rows, kWidth});
  const Tensor weight = Tensor::zeros({kWidth, kWidth});
  Tensor y(DType::kF32, {rows, kWidth});
  Context context;
  matmul({.x = x.f32(), .weight = weight.data(), .y = y.f32(), .m = rows, .n = kWidth, .k = kWidth},
         context);
  attention({.q = x.f32(),
             .k = x.f32(),
             .v = x.f32(),
             .out = y.f32(),
             .q_length = rows,
             .kv_length = kRows,
             .heads = 4,
             .head_dim = kWidth / 4},
            context);
  // Bytes of 0 are E4M3 zeros and the smallest scale.
  const MxPanels packed = pack_mx_panels(bytes_of(weight), bytes_of(weight), kWidth, kWidth);
  gemm_mx(
      {.x_codes = bytes_of(x), .x_scales = bytes_of(x), .weight = &packed, .y = y.f32(), .m = rows},
      context);
}

}  // namespace mxvideo::kernels
