// aclnnRmsNorm, whose statistics are fp32; y is rounded once to x's type, and again where SiLU or
// another type of y follows. kL2 is kMeanSquare with epsilon² / dim under the root: the same but
// where the norm is about epsilon.
#include "kernels/common/npu.h"
#include "kernels/rms_norm/rows.h"

namespace mxvideo::kernels {

const char* rms_norm_ascend_reject(const RmsNormArgs& args, const RunPolicy&) noexcept {
  const bool parts = args.factors != nullptr || args.found_factors != nullptr;
  return parts ? "the NPU norms whole rows" : nullptr;
}

void rms_norm_ascend(const RmsNormArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const double given = args.epsilon;
  const double epsilon =
      args.kind == RmsNormKind::kL2 ? given * given / static_cast<double>(args.dim) : given;
  const int64_t stride = args.x_stride != 0 ? args.x_stride : args.dim;
  const AclView x = npu_rows(args.x, args.rows, args.dim, stride);
  const AclView y = npu_view(args.y, {args.rows, args.dim});
  const AclView deviation = npu.temporary(AclType::kFloat, {args.rows, 1});
  npu.in_type_of(x, y, [&](const AclView& to) {
    npu.run(npu.cann().RmsNorm, in(x), in(npu_view(args.weight, {args.dim})), epsilon, out(to),
            out(deviation));
    if (args.silu) npu.run(npu.cann().Silu, in(to), out(to));
  });
}

}  // namespace mxvideo::kernels
