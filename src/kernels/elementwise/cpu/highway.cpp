// One vector loop for each op; bound by memory, but for the exponential of SiLU and GELU.
#include "kernels/elementwise/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/cpu/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/common/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

// y[i] = f(x[i]).
template <class F>
void map_unary(const ElementwiseArgs& args, const F& f) {
  const FloatTag d;
  int64_t i = 0;
  for (; i + lanes() <= args.count; i += lanes()) {
    hn::StoreU(f(hn::LoadU(d, args.x + i)), d, args.y + i);
  }
  const int64_t rest = args.count - i;
  if (rest > 0) store_partial(f(load_partial(args.x + i, rest)), args.y + i, rest);
}

// y[i] = f(x[i], z[i]).
template <class F>
void map_binary(const ElementwiseArgs& args, const F& f) {
  const FloatTag d;
  int64_t i = 0;
  for (; i + lanes() <= args.count; i += lanes()) {
    hn::StoreU(f(hn::LoadU(d, args.x + i), hn::LoadU(d, args.z + i)), d, args.y + i);
  }
  const int64_t rest = args.count - i;
  if (rest == 0) return;
  const FloatVec x = load_partial(args.x + i, rest);
  store_partial(f(x, load_partial(args.z + i, rest)), args.y + i, rest);
}

void elementwise_kernel(const ElementwiseArgs& args) {
  const float alpha = args.alpha;
  switch (args.op) {
    case ElementwiseOp::kSilu:
      return map_unary(args, [](FloatVec x) { return silu(x); });
    case ElementwiseOp::kGeluTanh:
      return map_unary(args, [](FloatVec x) { return gelu_tanh(x); });
    case ElementwiseOp::kGeluTanhMultiply:
      return map_binary(args, [](FloatVec x, FloatVec z) { return hn::Mul(gelu_tanh(x), z); });
    case ElementwiseOp::kAdd:
      return map_binary(args, [](FloatVec x, FloatVec z) { return hn::Add(x, z); });
    case ElementwiseOp::kScaledAdd:
      return map_binary(args, [alpha](FloatVec x, FloatVec z) {
        return hn::MulAdd(hn::Set(FloatTag(), alpha), z, x);
      });
  }
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(elementwise_kernel);

void elementwise_highway(const ElementwiseArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(elementwise_kernel)(args);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
