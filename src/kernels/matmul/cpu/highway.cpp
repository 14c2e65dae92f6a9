// Few rows of X: each weight is read once, decoded in registers and multiplied with every row.
// Bound by memory bandwidth. Also the decoder of 16-bit weights for the oneDNN row.
#include <cstring>
#include <iterator>

#include "formats/half.h"
#include "kernels/matmul/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul/cpu/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/common/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

// The stored types: how to load a vector, and a single one, as floats. `i` counts elements.
struct F32Weights {
  const std::byte* data;
  FloatVec vector(int64_t i) const {
    return hn::LoadU(FloatTag(), reinterpret_cast<const float*>(data) + i);
  }
  float scalar(int64_t i) const {
    float value;
    std::memcpy(&value, data + i * 4, sizeof(value));
    return value;
  }
};

// The bits of 16-bit weights in the lower halves of 32-bit lanes.
hn::Vec<hn::RebindToUnsigned<FloatTag>> load_16_bits(const std::byte* data, int64_t i) {
  const hn::RebindToUnsigned<FloatTag> du;
  const hn::Rebind<uint16_t, FloatTag> du16;
  return hn::PromoteTo(du, hn::LoadU(du16, reinterpret_cast<const uint16_t*>(data) + i));
}

struct Bf16Weights {
  const std::byte* data;
  FloatVec vector(int64_t i) const {
    return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(load_16_bits(data, i)));
  }
  float scalar(int64_t i) const {
    uint16_t bits;
    std::memcpy(&bits, data + i * 2, sizeof(bits));
    return formats::decode_bf16(bits);
  }
};

struct F16Weights {
  const std::byte* data;
  // As formats::decode_fp16: rebias by 2^112, or set every exponent bit for infinity and NaN.
  FloatVec vector(int64_t i) const {
    const FloatTag d;
    const hn::RebindToUnsigned<FloatTag> du;
    const auto bits = load_16_bits(data, i);
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000u)));
    const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffu));
    const FloatVec moved = hn::BitCast(d, hn::ShiftLeft<13>(magnitude));
    const FloatVec finite = hn::Mul(moved, hn::Set(d, 0x1p112f));
    const FloatVec special = hn::Or(moved, hn::BitCast(d, hn::Set(du, 0x7f800000u)));
    const auto is_special = hn::RebindMask(d, hn::Gt(magnitude, hn::Set(du, 0x7bffu)));
    return hn::Or(hn::IfThenElse(is_special, special, finite), hn::BitCast(d, sign));
  }
  float scalar(int64_t i) const {
    uint16_t bits;
    std::memcpy(&bits, data + i * 2, sizeof(bits));
    return formats::decode_fp16(bits);
  }
};

// One output feature for kRows rows of x; `weights` starts at its first weight.
template <int64_t kRows, class Weights>
void dot_rows(const MatmulArgs& args, const Weights& weights, float* sums) {
  const FloatTag d;
  FloatVec even[kRows];
  FloatVec odd[kRows];
  float tail[kRows] = {};
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < kRows; ++r) even[r] = odd[r] = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes() <= args.k; i += 2 * lanes()) {
    const FloatVec w0 = weights.vector(i);
    const FloatVec w1 = weights.vector(i + lanes());
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < kRows; ++r) {
      const float* x = args.x + r * args.x_stride + i;
      even[r] = hn::MulAdd(hn::LoadU(d, x), w0, even[r]);
      odd[r] = hn::MulAdd(hn::LoadU(d, x + lanes()), w1, odd[r]);
    }
  }
  for (; i < args.k; ++i) {
    const float w = weights.scalar(i);
    for (int64_t r = 0; r < kRows; ++r) tail[r] += args.x[r * args.x_stride + i] * w;
  }
  for (int64_t r = 0; r < kRows; ++r) sums[r] = sum_lanes(hn::Add(even[r], odd[r])) + tail[r];
}

template <class Weights>
void matvec_of(const MatmulTile& args) {
  constexpr decltype(&dot_rows<1, Weights>) kDots[] = {dot_rows<1, Weights>, dot_rows<2, Weights>,
                                                       dot_rows<3, Weights>, dot_rows<4, Weights>};
  static_assert(std::size(kDots) == kMatvecRows);
  const int64_t row_bytes = args.k * dtype_size(args.weight_dtype);
  for (int64_t j = 0; j < args.n; ++j) {
    float sums[kMatvecRows];
    kDots[args.m - 1](args, Weights{args.weight + j * row_bytes}, sums);
    for (int64_t r = 0; r < args.m; ++r) args.scratch[r * args.n + j] = sums[r];
  }
}

void matvec_kernel(const MatmulTile& args) {
  if (args.weight_dtype == DType::kF32) return matvec_of<F32Weights>(args);
  if (args.weight_dtype == DType::kBF16) return matvec_of<Bf16Weights>(args);
  matvec_of<F16Weights>(args);
}

template <class Weights>
void decode_with(const Weights& weights, int64_t count, float* values) {
  int64_t i = 0;
  for (; i + lanes() <= count; i += lanes()) {
    hn::StoreU(weights.vector(i), FloatTag(), values + i);
  }
  for (; i < count; ++i) values[i] = weights.scalar(i);
}

void decode_kernel(const std::byte* weights, DType dtype, int64_t count, float* values) {
  if (dtype == DType::kF32) return decode_with(F32Weights{weights}, count, values);
  if (dtype == DType::kBF16) return decode_with(Bf16Weights{weights}, count, values);
  decode_with(F16Weights{weights}, count, values);
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(matvec_kernel);
HWY_EXPORT(decode_kernel);

const char* matvec_reject(const MatmulArgs& args, const RunPolicy& /*policy*/) noexcept {
  return args.m > kMatvecRows ? "more than 4 rows" : nullptr;
}

void matvec_highway(const MatmulTile& args) noexcept {
  HWY_DYNAMIC_DISPATCH(matvec_kernel)(args);
  apply_epilogue(args.epilogue, {.rows = args.m,
                                 .columns = args.n,
                                 .accumulators = args.scratch,
                                 .accumulator_stride = args.n,
                                 .y = args.y,
                                 .y_stride = args.y_stride});
}

void decode_weights(const std::byte* weights, DType dtype, int64_t count, float* values) noexcept {
  HWY_DYNAMIC_DISPATCH(decode_kernel)(weights, dtype, count, values);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
