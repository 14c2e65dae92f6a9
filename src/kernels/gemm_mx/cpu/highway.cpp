// gemm_mx for any vectors, NEON among them, in fp32.
//
// Idea: the seven lower bits of an E4M3 code, moved to the top of fp32's mantissa and into its
// exponent, are its magnitude times 2^-120, subnormals included; two products with powers of two
// scale it exactly. INT8 is converted. Tile: kTileRows activation rows x 2 vectors of features, fed
// by broadcasts. One multiply-add per term in the order of t; products are exact in fp32, so that
// targets without FMA give the same bits.
//
// Bound: the fp32 FMA roof. Tested on each vector target of the machine that runs the tests.
#include "formats/e8m0.h"
#include "kernels/gemm_mx/cpu/micro_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_mx/cpu/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/common/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

constexpr int64_t kStep = 2 * lanes();           // columns of a register tile
constexpr int64_t kBlock = 32;                   // elements that share a scale
constexpr int64_t kRowStride = kGemmDepth + 16;  // floats between decoded activation rows
static_assert(kRowStride * 4 <= kGemmRowBytes && kGemmPanel % kStep == 0);

using IntTag = hn::RebindToSigned<FloatTag>;
using CodeTag = hn::Rebind<uint8_t, FloatTag>;

// The element formats: the values of lanes() codes at scale 1.
struct E4m3 {
  static FloatVec values(const uint8_t* codes) {
    const FloatTag d;
    const IntTag i;
    const auto code = hn::PromoteTo(i, hn::LoadU(CodeTag(), codes));
    const auto magnitude = hn::And(code, hn::Set(i, 0x7f));
    const FloatVec scaled = hn::BitCast(d, hn::ShiftLeft<20>(magnitude));
    const auto is_nan = hn::RebindMask(d, hn::Eq(magnitude, hn::Set(i, 0x7f)));
    const FloatVec finite = hn::Mul(scaled, hn::Set(d, 0x1p120f));
    return hn::CopySign(hn::IfThenElse(is_nan, hn::NaN(d), finite),
                        hn::BitCast(d, hn::ShiftLeft<24>(code)));
  }
};

struct Int8 {
  static FloatVec values(const uint8_t* codes) {
    const hn::Rebind<int8_t, FloatTag> narrow;
    const auto code = hn::PromoteTo(IntTag(), hn::BitCast(narrow, hn::LoadU(CodeTag(), codes)));
    return hn::Mul(hn::ConvertTo(FloatTag(), code), hn::Set(FloatTag(), 0x1p-6f));
  }
};

// 2^(scale - 127) of lanes() scale bytes.
FloatVec powers(const uint8_t* scales) {
  const IntTag i;
  const auto exponent = hn::PromoteTo(i, hn::LoadU(CodeTag(), scales));
  // 2^-127 is subnormal.
  const auto bits = hn::Max(hn::ShiftLeft<23>(exponent), hn::Set(i, 1 << 22));
  return hn::BitCast(FloatTag(), bits);
}

template <class Element>
void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  const FloatTag d;
  auto* out = static_cast<float*>(row);
  for (int64_t t = 0; t < depth; t += lanes()) {
    const FloatVec factor = hn::Set(d, formats::decode_e8m0(scales[t / kBlock]));
    hn::Store(hn::Mul(Element::values(codes + t), factor), d, out + t);
  }
}

// panel: [depth][32].
template <class Element>
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  const FloatTag d;
  auto* out = static_cast<float*>(panel);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    for (int64_t j = 0; j < kGemmPanel; j += lanes()) {
      const FloatVec factor = powers(scales + block * kGemmPanel + j);
      for (int64_t t = block * kBlock; t < (block + 1) * kBlock; ++t) {
        const FloatVec values = Element::values(codes + t * kGemmPanel + j);
        hn::Store(hn::Mul(values, factor), d, out + t * kGemmPanel + j);
      }
    }
  }
}

template <int64_t Rows>
void multiply_tile(const float* activations, const float* weights, int64_t depth, bool accumulate,
                   float* c) {
  const FloatTag d;
  FloatVec sums[Rows][2];
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) sums[r][0] = sums[r][1] = hn::Zero(d);
  for (int64_t t = 0; t < depth; ++t) {
    const FloatVec low = hn::Load(d, weights + t * kGemmPanel);
    const FloatVec high = hn::Load(d, weights + t * kGemmPanel + lanes());
    MXVIDEO_UNROLL
    for (int64_t r = 0; r < Rows; ++r) {
      const FloatVec activation = hn::Set(d, activations[r * kRowStride + t]);
      sums[r][0] = hn::MulAdd(activation, low, sums[r][0]);
      sums[r][1] = hn::MulAdd(activation, high, sums[r][1]);
    }
  }
  MXVIDEO_UNROLL
  for (int64_t r = 0; r < Rows; ++r) {
    MXVIDEO_UNROLL
    for (int64_t v = 0; v < 2; ++v) {
      float* sum = c + r * kGemmPanel + v * lanes();
      const FloatVec before = accumulate ? hn::Load(d, sum) : hn::Zero(d);
      hn::Store(hn::Add(before, sums[r][v]), d, sum);
    }
  }
}

// Rows of a tile are a constant: the last rows alone take a tile each.
void multiply(const void* activations, const void* panel, int64_t rows, int64_t depth,
              bool accumulate, float* c) {
  const auto* x = static_cast<const float*>(activations);
  const auto* weights = static_cast<const float*>(panel);
  for (int64_t j = 0; j < kGemmPanel; j += kStep) {
    int64_t row = 0;
    for (; row + kTileRows <= rows; row += kTileRows) {
      multiply_tile<kTileRows>(x + row * kRowStride, weights + j, depth, accumulate,
                               c + row * kGemmPanel + j);
    }
    for (; row < rows; ++row) {
      multiply_tile<1>(x + row * kRowStride, weights + j, depth, accumulate,
                       c + row * kGemmPanel + j);
    }
  }
}

template <class Element>
constexpr GemmMicroKernel kMicroKernel = {
    .row_bytes = kRowStride * 4,
    .decode_activation = decode_activation<Element>,
    .decode_panel = decode_panel<Element>,
    .multiply = multiply,
};

const GemmMicroKernel& micro_kernel(bool int8) {
  return int8 ? kMicroKernel<Int8> : kMicroKernel<E4m3>;
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(micro_kernel);

const GemmMicroKernel& gemm_mx_highway(bool int8) {
  return HWY_DYNAMIC_DISPATCH(micro_kernel)(int8);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
