// aclnnDynamicMxQuant: scaleAlg 1 is the rule rceil, 0 is floor.
#include "kernels/common/npu.h"
#include "kernels/quantize_mx/rows.h"

namespace mxvideo::kernels {

const char* quantize_mx_ascend_reject(const QuantizeMxArgs& args, const RunPolicy&) noexcept {
  return npu_rejects(args.options);
}

void quantize_mx_ascend(const QuantizeMxArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const AclView x = args.x != nullptr
                        ? npu_view(args.x, {args.m, args.k})
                        : AclView(args.x_bf16.get(), AclType::kBf16, {args.m, args.k});
  npu.quantize(x, {.codes = args.codes, .scales = args.scales, .options = args.options});
}

}  // namespace mxvideo::kernels
