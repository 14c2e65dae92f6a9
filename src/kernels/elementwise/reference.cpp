#include "kernels/common/activation.h"
#include "kernels/elementwise/rows.h"

namespace mxvideo::kernels {
namespace {

double value_of(const ElementwiseArgs& args, int64_t i) {
  const double x = args.x[i];
  switch (args.op) {
    case ElementwiseOp::kSilu:
      return silu_value(x);
    case ElementwiseOp::kGeluTanh:
      return gelu_tanh_value(x);
    case ElementwiseOp::kGeluTanhMultiply:
      return gelu_tanh_value(x) * args.z[i];
    case ElementwiseOp::kAdd:
      return x + args.z[i];
    case ElementwiseOp::kScaledAdd:
      break;
  }
  return x + static_cast<double>(args.alpha) * args.z[i];
}

}  // namespace

void elementwise_reference(const ElementwiseArgs& args) noexcept {
  for (int64_t i = 0; i < args.count; ++i) args.y[i] = static_cast<float>(value_of(args, i));
}

}  // namespace mxvideo::kernels
