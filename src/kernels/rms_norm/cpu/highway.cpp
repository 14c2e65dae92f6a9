// One pass for the sum of squares and one for the result, over a row that stays in L1 or L2.
#include <algorithm>
#include <cmath>

#include "kernels/rms_norm/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rms_norm/cpu/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/common/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

constexpr int64_t kSums = 4;

float sum_of_squares(const float* x, int64_t count) {
  const FloatTag d;
  FloatVec sums[kSums] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  int64_t i = 0;
  for (; i + kSums * lanes() <= count; i += kSums * lanes()) {
    MXVIDEO_UNROLL
    for (int64_t j = 0; j < kSums; ++j) {
      const FloatVec v = hn::LoadU(d, x + i + j * lanes());
      sums[j] = hn::MulAdd(v, v, sums[j]);
    }
  }
  for (; i + lanes() <= count; i += lanes()) {
    const FloatVec v = hn::LoadU(d, x + i);
    sums[0] = hn::MulAdd(v, v, sums[0]);
  }
  float tail = 0;
  for (; i < count; ++i) tail += x[i] * x[i];
  return sum_lanes(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))) + tail;
}

// y = x · factor · weight, then SiLU if asked.
void scale_row(const RmsNormArgs& args, const float* x, float factor_value, float* y) {
  const FloatTag d;
  const FloatVec factor = hn::Set(d, factor_value);
  const bool with_silu = args.silu;
  const auto result = [factor, with_silu](FloatVec value, FloatVec weight) {
    const FloatVec scaled = hn::Mul(hn::Mul(value, factor), weight);
    return with_silu ? silu(scaled) : scaled;
  };
  int64_t i = 0;
  for (; i + lanes() <= args.dim; i += lanes()) {
    hn::StoreU(result(hn::LoadU(d, x + i), hn::LoadU(d, args.weight + i)), d, y + i);
  }
  const int64_t rest = args.dim - i;
  if (rest == 0) return;
  const FloatVec value = load_partial(x + i, rest);
  store_partial(result(value, load_partial(args.weight + i, rest)), y + i, rest);
}

float factor_of(const RmsNormArgs& args, const float* x) {
  const auto dim = static_cast<float>(args.dim);
  const float squares = sum_of_squares(x, args.dim);
  return args.kind == RmsNormKind::kMeanSquare
             ? 1.0f / std::sqrt(squares / dim + args.epsilon)
             : std::sqrt(dim) / std::max(std::sqrt(squares), args.epsilon);
}

void rms_norm_rows_kernel(const RmsNormArgs& args) {
  const int64_t stride = args.x_stride == 0 ? args.dim : args.x_stride;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * stride;
    const float factor = args.factors == nullptr ? factor_of(args, x) : args.factors[row];
    if (args.found_factors == nullptr) {
      scale_row(args, x, factor, args.y + row * args.dim);
    } else {
      args.found_factors[row] = factor;
    }
  }
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(rms_norm_rows_kernel);

void rms_norm_highway(const RmsNormArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(rms_norm_rows_kernel)(args);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
