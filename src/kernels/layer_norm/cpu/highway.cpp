// Two passes for the statistics and one for the result, all over a row that stays in L1 or L2;
// four sums in flight hide the latency of the additions. Bound by L2 bandwidth.
#include <cmath>

#include "kernels/layer_norm/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/layer_norm/cpu/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/common/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

constexpr int64_t kSums = 4;

// Σ (x - mean)^power for power 1 or 2.
template <int kPower>
float sum_of(const float* x, int64_t count, float mean) {
  const FloatTag d;
  const FloatVec center = hn::Set(d, mean);
  FloatVec sums[kSums] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  const auto add = [center](FloatVec sum, FloatVec value) {
    const FloatVec difference = hn::Sub(value, center);
    return kPower == 1 ? hn::Add(sum, difference) : hn::MulAdd(difference, difference, sum);
  };
  int64_t i = 0;
  for (; i + kSums * lanes() <= count; i += kSums * lanes()) {
    MXVIDEO_UNROLL
    for (int64_t j = 0; j < kSums; ++j) sums[j] = add(sums[j], hn::LoadU(d, x + i + j * lanes()));
  }
  for (; i + lanes() <= count; i += lanes()) sums[0] = add(sums[0], hn::LoadU(d, x + i));
  float tail = 0;
  for (; i < count; ++i) {
    const float difference = x[i] - mean;
    tail += kPower == 1 ? difference : difference * difference;
  }
  return sum_lanes(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))) + tail;
}

// One row's inputs, the vectors of adaLN already selected.
struct RowView {
  const float* x;
  const float* weight;
  const float* bias;
  const float* scale;
  const float* shift;
};

template <class Load>
FloatVec normalized(const RowView& row, FloatVec mean, FloatVec inverse, int64_t i,
                    const Load& load) {
  const FloatTag d;
  FloatVec value = hn::Mul(hn::Sub(load(row.x + i), mean), inverse);
  if (row.weight != nullptr) value = hn::Mul(value, load(row.weight + i));
  if (row.bias != nullptr) value = hn::Add(value, load(row.bias + i));
  if (row.scale == nullptr) return value;
  const FloatVec factor = hn::Add(load(row.scale + i), hn::Set(d, 1.0f));
  return hn::MulAdd(value, factor, load(row.shift + i));
}

void layer_norm_rows_kernel(const LayerNormArgs& args) {
  const FloatTag d;
  const int64_t dim = args.dim;
  const auto count = static_cast<float>(dim);
  for (int64_t r = 0; r < args.rows; ++r) {
    const int64_t vector = args.modulation_row == nullptr ? 0 : args.modulation_row[r];
    const int64_t offset = vector * args.modulation_stride;
    const RowView row = {.x = args.x + r * dim,
                         .weight = args.weight,
                         .bias = args.bias,
                         .scale = args.scale == nullptr ? nullptr : args.scale + offset,
                         .shift = args.scale == nullptr ? nullptr : args.shift + offset};
    float* y = args.y + r * dim;
    const float mean_value = sum_of<1>(row.x, dim, 0.0f) / count;
    const float variance = sum_of<2>(row.x, dim, mean_value) / count;
    const FloatVec mean = hn::Set(d, mean_value);
    const FloatVec inverse = hn::Set(d, 1.0f / std::sqrt(variance + args.epsilon));
    int64_t i = 0;
    for (; i + lanes() <= dim; i += lanes()) {
      const auto load = [](const float* p) { return hn::LoadU(FloatTag(), p); };
      hn::StoreU(normalized(row, mean, inverse, i, load), d, y + i);
    }
    if (i == dim) continue;
    const auto load = [i, dim](const float* p) { return load_partial(p, dim - i); };
    store_partial(normalized(row, mean, inverse, i, load), y + i, dim - i);
  }
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(layer_norm_rows_kernel);

void layer_norm_highway(const LayerNormArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(layer_norm_rows_kernel)(args);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
