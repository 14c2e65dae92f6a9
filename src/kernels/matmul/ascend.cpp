// aclnnMatmul with the weight as it is stored, transposed by strides; the bias is added behind.
// BF16 weights multiply BF16 rows, and the product is rounded to BF16; fp32 and FP16 weights, and
// a few fp32 rows (the time embedding), multiply in fp32.
#include "kernels/common/npu_epilogue.h"
#include "kernels/matmul/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kFewRows = 64;

AclType computing_type(const MatmulArgs& args) {
  const bool few = args.m <= kFewRows && args.x.dtype() == DType::kF32;
  return args.weight_dtype == DType::kBF16 && !few ? AclType::kBf16 : AclType::kFloat;
}

// [k, n] of a weight [n, k].
AclView transposed(const AclView& weight) {
  const int64_t dims[] = {weight.dims[1], weight.dims[0]};
  const int64_t strides[] = {1, weight.dims[1]};
  return {weight.data, weight.type, dims, strides};
}

}  // namespace

const char* matmul_ascend_reject(const MatmulArgs& args, const RunPolicy&) noexcept {
  return npu_rejects(args.epilogue);
}

void matmul_ascend(const MatmulArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const AclType type = computing_type(args);
  const AclView x =
      npu.as(npu_rows(args.x, args.m, args.k, args.x_stride != 0 ? args.x_stride : args.k), type);
  const AclView weight =
      npu.as(AclView(args.weight.get(), acl_type(args.weight_dtype), {args.n, args.k}), type);
  const AclView y = npu_rows(args.y, args.m, args.n, args.y_stride != 0 ? args.y_stride : args.n);
  const bool plain = args.epilogue.kind == Epilogue::kNone;
  const bool biased = args.epilogue.bias != nullptr;
  const bool in_place = plain && !biased && y.type == type && y.dense();
  const AclView product = in_place ? y : npu.temporary(type, {args.m, args.n});
  npu.run(npu.cann().Matmul, in(x), in(transposed(weight)), out(product), ascend::kKeepDtype);
  if (in_place) return;
  AclView value = product;
  if (biased) {
    value = plain ? y : npu.temporary(product_type(args.epilogue, y), {args.m, args.n});
    npu.add(product, npu_view(args.epilogue.bias, {args.n}), value);
  } else if (!plain) {
    value = npu.as(product, product_type(args.epilogue, y));
  }
  npu_epilogue(npu, args.epilogue, value, y);
}

}  // namespace mxvideo::kernels
