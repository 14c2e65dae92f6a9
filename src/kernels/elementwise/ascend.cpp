// Elementwise ops by CANN's operators: each of their results is rounded once to the type of y.
#include "kernels/common/npu.h"
#include "kernels/elementwise/rows.h"

namespace mxvideo::kernels {

void elementwise_ascend(const ElementwiseArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const auto& cann = npu.cann();
  const AclView x = npu_view(args.x, {args.count});
  const AclView y = npu_view(args.y, {args.count});
  const auto gelu = [&](const AclView& to) { npu.run(cann.GeluV2, in(x), 1, out(to)); };
  switch (args.op) {
    case ElementwiseOp::kSilu:
      npu.in_type_of(x, y, [&](const AclView& to) { npu.run(cann.Silu, in(x), out(to)); });
      break;
    case ElementwiseOp::kGeluTanh:
      npu.in_type_of(x, y, gelu);
      break;
    case ElementwiseOp::kGeluTanhMultiply: {
      const AclView activated = npu.temporary_like(x, x.type);
      gelu(activated);
      npu.run(cann.Mul, in(activated), in(npu_view(args.z, {args.count})), out(y));
      break;
    }
    case ElementwiseOp::kAdd:
      npu.add(x, npu_view(args.z, {args.count}), y);
      break;
    case ElementwiseOp::kScaledAdd:
      npu.add(x, npu_view(args.z, {args.count}), y, args.alpha);
      break;
  }
}

}  // namespace mxvideo::kernels
