#include <cstring>

#include "formats/half.h"
#include "kernels/matmul/rows.h"

namespace mxvideo::kernels {
namespace {

double load_weight(const MatmulArgs& args, int64_t index) {
  if (args.weight_dtype == DType::kF32) {
    float value;
    std::memcpy(&value, args.weight + index * 4, sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, args.weight + index * 2, sizeof(bits));
  return args.weight_dtype == DType::kBF16 ? formats::decode_bf16(bits)
                                           : formats::decode_fp16(bits);
}

}  // namespace

void matmul_reference(const MatmulTile& args) noexcept {
  for (int64_t row = 0; row < args.m; ++row) {
    const float* x = args.x + row * args.x_stride;
    for (int64_t column = 0; column < args.n; ++column) {
      double sum = 0;
      for (int64_t i = 0; i < args.k; ++i) sum += x[i] * load_weight(args, column * args.k + i);
      args.y[row * args.y_stride + column] =
          static_cast<float>(epilogue_value(args.epilogue, row, column, sum));
    }
  }
}

}  // namespace mxvideo::kernels
