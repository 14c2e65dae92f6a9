// aclnnQuantMatmulV5 in its MX mode: codes and scales as files hold them, bias in fp32, fp32 or
// BF16 out. The product is rounded to BF16 where the result is BF16 or quantized, not where it
// joins the residual stream.
#include "kernels/gemm_mx/ascend.h"

#include "kernels/common/npu_epilogue.h"

namespace mxvideo::kernels {

const char* gemm_mx_ascend_reject(const GemmMxArgs& args, const RunPolicy&) noexcept {
  if (args.weight->element != formats::MxElement::kE4m3) {
    return "the NPU multiplies MXFP8, not MXINT8";
  }
  const char* reason = args.mx.codes != nullptr ? npu_rejects(args.mx.options) : nullptr;
  return reason != nullptr ? reason : npu_rejects(args.epilogue);
}

void gemm_mx_ascend(const GemmMxArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const int64_t m = args.m, n = args.weight->n, k = args.weight->k;
  const bool quantizes = args.mx.codes != nullptr;
  const AclView x(args.x_codes.get(), AclType::kE4m3, {m, k});
  const AclView x_scales = npu.paired_scales(args.x_scales, m, k);
  const auto& stored = static_cast<const NpuMxWeight&>(*args.weight);
  const AclView weight(stored.codes.data(), AclType::kE4m3, {n, k});
  const AclView weight_scales(stored.scales.data(), AclType::kE8m0,
                              {n, stored.scales.dim(1) / 2, 2});
  const AclView bias = npu_view(args.epilogue.bias, {n});
  const AclView y = quantizes ? npu.temporary(AclType::kBf16, {m, n}) : npu_view(args.y, {m, n});
  const AclView product = args.epilogue.kind == Epilogue::kNone
                              ? y
                              : npu.temporary(product_type(args.epilogue, y), {m, n});
  const ascend::OperatorArgument none(nullptr);
  npu.run(npu.cann().QuantMatmulV5, in(x), in(weight), in(x_scales), in(weight_scales), none, none,
          none, none, bias.data != nullptr ? in(bias) : none, false, true, ascend::kMxGroup,
          out(product));
  npu_epilogue(npu, args.epilogue, product, y);
  if (quantizes) npu.quantize(y, args.mx);
}

}  // namespace mxvideo::kernels
