// exp, SiLU and GELU on fp32 vectors; NaN in, NaN out. Included once per target like vector-inl.h.
//
// Bounds against the exact function of the fp32 argument, u = 2^-24:
//   exp_clamped: 3u relative, for the argument after clamping to [-87, 88]
//   silu:        5u·|y| + 2^-126·|x|
//   gelu_tanh:   (6 + 5·|w|·sigmoid(-w))·u·|y| + 2^-126·|x|, w = 2·√(2/π)·(x + 0.044715x³)
// where the last term is what the clamp costs, and each grows by one u for every operation that the
// target does not fuse. exp: Cody and Waite's reduction to |r| <= ln2/2, then a polynomial of
// degree 6 fitted by weighted least squares on Chebyshev nodes (truncation 2^-27.6 relative).
#if defined(MXVIDEO_KERNELS_COMMON_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MXVIDEO_KERNELS_COMMON_ACTIVATION_INL_H_
#undef MXVIDEO_KERNELS_COMMON_ACTIVATION_INL_H_
#else
#define MXVIDEO_KERNELS_COMMON_ACTIVATION_INL_H_
#endif

#include "kernels/common/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {

// e^x with x clamped to [-87, 88], where neither the result nor a factor leaves the normal floats.
HWY_INLINE FloatVec exp_clamped(FloatVec x) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  // Not Min and Max: some targets lose NaN in them.
  x = hn::IfThenElse(hn::Lt(x, hn::Set(d, -87.0f)), hn::Set(d, -87.0f), x);
  x = hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.0f)), hn::Set(d, 88.0f), x);
  const auto n = hn::NearestInt(hn::Mul(x, hn::Set(d, 1.44269504f)));
  const FloatVec nf = hn::ConvertTo(d, n);
  // ln 2 in two parts; the product with the first is exact.
  FloatVec r = hn::NegMulAdd(nf, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(nf, hn::Set(d, -2.12194440e-4f), r);
  FloatVec p = hn::Set(d, 0x1.6d9968p-10f);
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.123dd6p-7f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.55547cp-5f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.55548ap-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  const FloatVec fraction = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0f));
  const FloatVec power = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
  return hn::Mul(fraction, power);
}

// x · sigmoid(x).
HWY_INLINE FloatVec silu(FloatVec x) {
  const FloatTag d;
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), exp_clamped(hn::Neg(x))));
}

// x · sigmoid(w), which is the tanh form without its cancellation for negative x.
HWY_INLINE FloatVec gelu_tanh(FloatVec x) {
  const FloatTag d;
  const FloatVec slope = hn::Set(d, -1.5957691216f);    // -2·√(2/π)
  const FloatVec cubic = hn::Set(d, -0.071354816272f);  // slope · 0.044715
  const FloatVec minus_w = hn::Mul(x, hn::MulAdd(cubic, hn::Mul(x, x), slope));
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), exp_clamped(minus_w)));
}

}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
