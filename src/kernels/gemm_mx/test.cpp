// Every row of the table that takes MXFP8, and those of few machines emulated.
#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>

#include "base/parallel.h"
#include "kernels/gemm_mx/row_fixture.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace test {
namespace {

using mxvideo::test::Guarded;

class GemmMxRow : public GemmRowTest {
 protected:
  bool rejects(const Problem& p) const {
    const MxPanels weight = p.packed();
    return refuses(GetParam().row, {.x_codes = p.x_codes.data(),
                                    .x_scales = p.x_scales.data(),
                                    .weight = &weight,
                                    .m = p.shape().m});
  }

  void expect_in_bound(const Problem& p, const Guarded& y) const {
    for (int64_t i = 0; i < p.shape().m; ++i) {
      for (int64_t j = 0; j < p.shape().n; ++j) {
        const ExactSum sum = p.exact_sum(i, j);
        ASSERT_NEAR(y[i * p.shape().n + j], sum.value, bound(p.shape(), sum, rounding()))
            << "row " << i << " column " << j;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Rows, GemmMxRow, testing::ValuesIn(test_rows(formats::MxElement::kE4m3)),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(GemmMxRow, ExactInputsGiveExactBits) {
  uint32_t seed = 1;
  for (const Shape& shape : tail_shapes()) {
    const Problem p = Problem::exact(shape, seed++);
    const Guarded y = run(p);
    for (int64_t i = 0; i < shape.m; ++i) {
      for (int64_t j = 0; j < shape.n; ++j) {
        const auto expected = static_cast<float>(p.exact_sum(i, j).value);
        ASSERT_TRUE(same_bits(y[i * shape.n + j], expected))
            << "m " << shape.m << " n " << shape.n << " k " << shape.k << " row " << i << " column "
            << j << ": " << y[i * shape.n + j] << ", expected " << expected;
      }
    }
  }
}

TEST_P(GemmMxRow, RandomInputsStayInTheBound) {
  const Shape shapes[] = {{7, 33, 32}, {13, 70, 160}, {25, 96, 544}, {3, 5, 3072}, {1, 40, 14336}};
  uint32_t seed = 100;
  for (const Shape& shape : shapes) {
    const Problem p = Problem::random(shape, seed++);
    expect_in_bound(p, run(p));
  }
}

// Scales that differ by block in one operand only, so that a scale of a neighbouring block or row
// cannot pass.
TEST_P(GemmMxRow, EveryBlockUsesItsOwnScales) {
  Problem p = Problem::random({9, 35, 320}, 7, 127, 127);
  for (size_t i = 0; i < p.x_scales.size(); ++i) {
    p.x_scales[i] = static_cast<uint8_t>(90 + i * 37 % 71);
  }
  expect_in_bound(p, run(p));
  for (size_t i = 0; i < p.w_scales.size(); ++i) {
    p.w_scales[i] = static_cast<uint8_t>(80 + i * 53 % 89);
  }
  expect_in_bound(p, run(p));
  std::fill(p.x_scales.begin(), p.x_scales.end(), uint8_t{127});
  expect_in_bound(p, run(p));
}

// Row i of one operand has scale byte i, and holds each code once; the other operand has one
// non-zero element per row, so that each output is a single exact product.
class GemmMxRowOnEveryCode : public GemmMxRow {
 protected:
  int first_scale() const { return needs_filled_scales() ? MxPanels::kSmallestScale : 0; }
  int last_scale() const { return needs_filled_scales() ? MxPanels::kLargestScale : 246; }

  // What the row takes for an element.
  double taken(uint8_t code) const {
    const double element = e4m3_value(code);
    if (fast()) return std::round(element / 4) * 4;
    return integer() ? std::round(element * 16) / 16 : element;
  }

  void check(bool scale_of_x, int other_scale) const {
    const int64_t scale_count = last_scale() - first_scale() + 1;
    const Shape shape = {scale_of_x ? scale_count : 256, scale_of_x ? 256 : scale_count, 256};
    Problem p(shape);
    auto& codes = scale_of_x ? p.x_codes : p.w_codes;
    auto& scales = scale_of_x ? p.x_scales : p.w_scales;
    auto& other_codes = scale_of_x ? p.w_codes : p.x_codes;
    auto& other_scales = scale_of_x ? p.w_scales : p.x_scales;
    for (size_t i = 0; i < codes.size(); ++i) {  // small and large ones in each block
      const auto code = static_cast<uint8_t>(i * 37);
      codes[i] = (code & 0x7f) == 0x7f ? uint8_t{0} : code;
    }
    for (size_t i = 0; i < scales.size(); ++i) {
      scales[i] = static_cast<uint8_t>(static_cast<size_t>(first_scale()) + i / 8);
    }
    for (size_t i = 0; i < 256; ++i) other_codes[i * 256 + i] = 0x78;  // 256
    std::fill(other_scales.begin(), other_scales.end(), static_cast<uint8_t>(other_scale));
    const double factor = 256 * e8m0_value(static_cast<uint8_t>(other_scale));
    const Guarded y = run(p);
    for (int64_t i = 0; i < y.count(); ++i) {
      const int64_t at = scale_of_x ? i % shape.n : i / shape.n;
      const int64_t scale = first_scale() + (scale_of_x ? i / shape.n : i % shape.n);
      double expected =
          taken(codes[static_cast<size_t>(at)]) * factor * e8m0_value(static_cast<uint8_t>(scale));
      if (bf16() && std::fabs(expected) < smallest()) expected = 0;
      if (scale + other_scale < least_scales()) expected = 0;
      ASSERT_EQ(y[i], static_cast<float>(expected))
          << "element " << at << " scale " << scale << " other scale " << other_scale;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Rows, GemmMxRowOnEveryCode,
                         testing::ValuesIn(test_rows(formats::MxElement::kE4m3)),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(GemmMxRowOnEveryCode, EveryScaleIsRight) {
  for (const bool scale_of_x : {true, false}) {
    for (const int other_scale : {first_scale(), 40, 93}) check(scale_of_x, other_scale);
  }
}

TEST_P(GemmMxRow, SubnormalSumsStayInTheBound) {
  if (!needs_filled_scales()) {
    const Problem p = Problem::random({5, 33, 96}, 1, 0, 3);
    expect_in_bound(p, run(p));
  }
  const Problem p = Problem::random({7, 40, 288}, 2, 48, 60);
  expect_in_bound(p, run(p));
}

TEST_P(GemmMxRow, ScalesThatMightOverflowAreDeclinedOrRight) {
  for (const auto& [x_scale, w_scale] :
       {std::pair{247, 10}, {10, 247}, {254, 0}, {0, 254}, {180, 180}, {200, 170}}) {
    Problem p = Problem::random({3, 5, 64}, 3, 100, 100);
    p.x_scales[2] = static_cast<uint8_t>(x_scale);
    p.w_scales[3] = static_cast<uint8_t>(w_scale);
    const MxPanels weight = p.packed();
    Guarded y(15);
    const GemmMxArgs args = {.x_codes = p.x_codes.data(),
                             .x_scales = p.x_scales.data(),
                             .weight = &weight,
                             .y = y.data(),
                             .m = 3};
    EXPECT_EQ(refuses(GetParam().row, args), GetParam().kind != Kind::kReference)
        << x_scale << " " << w_scale;
    Context context;
    gemm_mx(args, context);
    EXPECT_EQ((context.choices()[{"gemm_mx", "reference"}]), 1);
    for (int64_t i = 0; i < 15; ++i) {
      ASSERT_EQ(y[i], static_cast<float>(p.exact_sum(i / 5, i % 5).value)) << i;
    }
  }
}

TEST_P(GemmMxRow, NanScaleMakesItsRowNan) {
  for (const int64_t m : {1, 3, 8}) {
    Problem p = Problem::random({m, 37, 288}, 4);
    const int64_t nan_row = m / 2;
    p.x_scales[static_cast<size_t>(nan_row * 9 + 8)] = 255;
    for (const Epilogue epilogue : {Epilogue::kNone, Epilogue::kGeluTanh}) {
      const Guarded y = run(p, {.epilogue = {.kind = epilogue}});
      for (int64_t i = 0; i < y.count(); ++i) {
        ASSERT_EQ(std::isnan(y[i]), i / 37 == nan_row) << "m " << m << " at " << i;
      }
    }
  }
}

TEST_P(GemmMxRow, NanCodeOfAnActivationMakesItsRowNan) {
  for (const uint8_t code : {uint8_t{0x7f}, uint8_t{0xff}}) {
    Problem p = Problem::random({4, 6, 64}, 5);
    p.x_codes[64 + 50] = code;
    const Guarded y = run(p);
    for (int64_t i = 0; i < y.count(); ++i) ASSERT_EQ(std::isnan(y[i]), i / 6 == 1) << i;
  }
}

TEST_P(GemmMxRow, SameBitsForAnyThreadCount) {
  for (const Shape& shape : {Shape{1, 200, 320}, {8, 65, 320}, {230, 130, 288}}) {
    const Problem p = Problem::random(shape, 6);
    set_num_threads(1);
    const Guarded one = run(p);
    for (const int threads : {2, 7}) {
      set_num_threads(threads);
      expect_same_bits(one, run(p));
    }
  }
}

TEST_P(GemmMxRow, BitsOfAnOutputDependOnItsRowAndColumnOnly) {
  constexpr int64_t kFirst = 30, kColumns = 35, kDepth = 544, kBlocks = kDepth / kBlock;
  const Problem all = Problem::random({29, 70, kDepth}, 8);
  const Guarded y = run(all, {.epilogue = {.kind = Epilogue::kGeluTanh}});
  for (int64_t i = 0; i < 29; i += 4) {
    Problem one({1, kColumns, kDepth});
    std::copy_n(all.x_codes.begin() + i * kDepth, kDepth, one.x_codes.begin());
    std::copy_n(all.x_scales.begin() + i * kBlocks, kBlocks, one.x_scales.begin());
    std::copy_n(all.w_codes.begin() + kFirst * kDepth, kColumns * kDepth, one.w_codes.begin());
    std::copy_n(all.w_scales.begin() + kFirst * kBlocks, kColumns * kBlocks, one.w_scales.begin());
    const Guarded part = run(one, {.epilogue = {.kind = Epilogue::kGeluTanh}});
    for (int64_t j = 0; j < kColumns; ++j) {
      ASSERT_TRUE(same_bits(part[j], y[i * 70 + kFirst + j])) << j;
    }
  }
}

// The two instructions for bf16 add in orders of their own.
const GemmMicroKernel& emulated_bf16(std::string_view row) {
  return row.starts_with("amx") ? kGemmMxAmxBf16Emulated : kGemmMxAvx512Bf16Emulated;
}

// Rows of a kind take the same elements and add in the same order; references add in double.
TEST_P(GemmMxRow, RowsOfAKindAgreeBitForBit) {
  if (std::string_view(GetParam().row.name).starts_with("reference")) return;
  const Shape shape = {31, 70, 544};
  const Problem p = Problem::random(shape, 9);
  const MxPanels weight = p.packed();
  Guarded emulated(shape.m * shape.n);
  const GemmMicroKernel& kernel = fast()      ? kGemmMxAvx512VnniFastEmulated
                                  : bf16()    ? emulated_bf16(GetParam().name)
                                  : integer() ? emulated_int16(formats::MxElement::kE4m3)
                                              : kGemmMxAvx512Emulated;
  run_gemm_mx_blocked({{.x_codes = p.x_codes.data(),
                        .x_scales = p.x_scales.data(),
                        .weight = &weight,
                        .y = emulated.data(),
                        .m = shape.m}},
                      kernel);
  expect_same_bits(emulated, run(p));
}

// A block of small elements would lose too much to rounding; a tiny or huge scale, to fp32's range.
TEST_P(GemmMxRow, IntegersAndBf16DeclineWeightsThatDoNotFillTheirScales) {
  const Problem good = Problem::random({2, 40, 96}, 21, 60, 70);
  EXPECT_FALSE(rejects(good));
  Problem zero_block = good;
  std::fill_n(zero_block.w_codes.begin() + 32, 32, uint8_t{0x80});
  zero_block.w_scales[1] = 0;
  EXPECT_FALSE(rejects(zero_block));
  Problem small_block = good;
  std::fill_n(small_block.w_codes.end() - kBlock, kBlock, uint8_t{0xe7});  // -60
  EXPECT_EQ(rejects(small_block), needs_filled_scales());
  small_block.w_codes.back() = 0xe8;  // -64
  EXPECT_FALSE(rejects(small_block));
  Problem tiny_scale = good;
  tiny_scale.w_scales[119] = 31;
  EXPECT_EQ(rejects(tiny_scale), needs_filled_scales());
  Problem large_scale = good;
  large_scale.w_scales[119] = 221;
  EXPECT_EQ(rejects(large_scale), needs_filled_scales());
}

// The instructions would take them for zero.
TEST_P(GemmMxRow, Bf16DeclinesActivationsAmongTheSubnormals) {
  Problem p = Problem::random({2, 40, 96}, 23, 60, 70);
  p.x_scales[5] = 32;
  EXPECT_FALSE(rejects(p));
  p.x_scales[5] = 31;
  EXPECT_EQ(rejects(p), bf16());
  std::fill_n(p.x_codes.begin() + 5 * kBlock, kBlock, uint8_t{0x80});
  p.x_scales[5] = 0;
  EXPECT_FALSE(rejects(p));
  p.x_codes[5 * kBlock + 31] = 0x81;
  EXPECT_EQ(rejects(p), bf16());
}

std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-4, 4);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(random);
  return values;
}

TEST_P(GemmMxRow, BiasIsAdded) {
  const Problem p = Problem::random({6, 41, 96}, 10, 118, 126);
  const std::vector<float> bias = random_floats(41, 11);
  const Guarded y = run(p, {.epilogue = {.bias = bias.data()}});
  for (int64_t i = 0; i < y.count(); ++i) {
    const ExactSum sum = p.exact_sum(i / 41, i % 41);
    const double expected = sum.value + bias[static_cast<size_t>(i % 41)];
    ASSERT_NEAR(y[i], expected, bound(p.shape(), sum, rounding()) + 0x1p-23 * std::fabs(expected));
  }
}

// Bounds: |gelu'| < 1.13, and that of common/activation-inl.h with 4 operations not fused.
TEST_P(GemmMxRow, GeluStaysInTheBound) {
  const Problem p = Problem::random({40, 41, 96}, 12, 112, 126);
  std::vector<float> bias = random_floats(41, 13);
  bias[0] = -30;
  bias[1] = 1e12f;
  bias[2] = -1e12f;
  bias[40] = -8;
  const Guarded y = run(p, {.epilogue = {.kind = Epilogue::kGeluTanh, .bias = bias.data()}});
  for (int64_t i = 0; i < y.count(); ++i) {
    const ExactSum sum = p.exact_sum(i / 41, i % 41);
    const double v = sum.value + bias[static_cast<size_t>(i % 41)];
    const double w = 2 * std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v);
    const double expected = v / (1 + std::exp(-w));
    const double slope = w / (1 + std::exp(w));  // 0 for large w, w for very negative w
    const double relative = (10 + (w > 0 ? 5 * slope : 5 * std::min(-w, 128.0))) * 0x1p-24;
    const double allowed = 1.13 * (bound(p.shape(), sum, rounding()) + 0x1p-23 * std::fabs(v)) +
                           relative * std::fabs(expected) + 0x1p-126 * std::fabs(v);
    ASSERT_NEAR(y[i], expected, allowed) << "v " << v;
  }
}

TEST_P(GemmMxRow, GatedResidualMayBeInPlace) {
  const Shape shape = {9, 41, 288};
  const Problem p = Problem::random(shape, 14, 118, 126);
  const std::vector<float> bias = random_floats(shape.n, 15);
  const std::vector<float> gate = random_floats(int64_t{3} * 50, 16);
  const std::vector<float> residual = random_floats(shape.m * shape.n, 17);
  const std::vector<int32_t> gate_row = {0, 2, 1, 1, 0, 2, 2, 0, 1};
  const MxPanels weight = p.packed();
  for (const bool in_place : {false, true}) {
    for (const int gating : {0, 1, 2}) {  // none, one row, a row per token
      Guarded y(shape.m * shape.n);
      if (in_place) std::copy(residual.begin(), residual.end(), y.data());
      GetParam().row.run({{.x_codes = p.x_codes.data(),
                           .x_scales = p.x_scales.data(),
                           .weight = &weight,
                           .y = y.data(),
                           .m = shape.m,
                           .epilogue = {.kind = Epilogue::kGatedResidual,
                                        .bias = bias.data(),
                                        .residual = in_place ? y.data() : residual.data(),
                                        .gate = gating == 0 ? nullptr : gate.data(),
                                        .gate_stride = 50,
                                        .gate_row = gating == 2 ? gate_row.data() : nullptr,
                                        .residual_stride = shape.n}}});
      EXPECT_TRUE(y.intact());
      for (int64_t i = 0; i < y.count(); ++i) {
        const auto row = static_cast<size_t>(i / shape.n);
        const auto column = static_cast<size_t>(i % shape.n);
        const ExactSum sum = p.exact_sum(i / shape.n, i % shape.n);
        const double g =
            gating == 0 ? 1 : gate[(gating == 2 ? gate_row[row] : 0) * size_t{50} + column];
        const double value = sum.value + bias[column];
        const double expected = residual[static_cast<size_t>(i)] + g * value;
        const double allowed =
            std::fabs(g) * (bound(shape, sum, rounding()) + 0x1p-23 * std::fabs(value)) +
            0x1p-23 * (std::fabs(g * value) + std::fabs(expected));
        ASSERT_NEAR(y[i], expected, allowed) << "gating " << gating << " at " << i;
      }
    }
  }
}

// oneDNN's fp32 matmul of the dequantized operands: code that shares nothing with ours.
TEST_P(GemmMxRow, AgreesWithOneDnnOnDequantizedOperands) {
  const Shape shape = {37, 75, 416};
  const Problem p = Problem::random(shape, 18, 110, 130);
  const auto dequantize = [](const std::vector<uint8_t>& codes,
                             const std::vector<uint8_t>& scales) {
    std::vector<float> values(codes.size());
    for (size_t i = 0; i < codes.size(); ++i) {
      values[i] = static_cast<float>(e4m3_value(codes[i]) * e8m0_value(scales[i / kBlock]));
    }
    return values;
  };
  std::vector<float> x = dequantize(p.x_codes, p.x_scales);
  std::vector<float> w = dequantize(p.w_codes, p.w_scales);
  std::vector<float> expected(static_cast<size_t>(shape.m * shape.n));
  ASSERT_EQ(dnnl_sgemm('N', 'T', shape.m, shape.n, shape.k, 1.0f, x.data(), shape.k, w.data(),
                       shape.k, 0.0f, expected.data(), shape.n),
            dnnl_success);
  const Guarded y = run(p);
  for (int64_t i = 0; i < y.count(); ++i) {
    const ExactSum sum = p.exact_sum(i / shape.n, i % shape.n);
    ASSERT_NEAR(y[i], expected[static_cast<size_t>(i)], 2 * bound(shape, sum, rounding())) << i;
  }
}

// Quantized by torchao, multiplied in float64 by PyTorch.
TEST_P(GemmMxRow, AgreesWithTorchaoGoldens) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(mxvideo::test::golden_path("linear"))) {
    const mxvideo::test::GoldenFile golden(entry.path().string());
    const Shape shape = {golden.shape("x")[0], golden.shape("w")[0], golden.shape("x")[1]};
    Problem p(shape);
    p.x_codes = golden.u8("x.codes");
    p.x_scales = golden.u8("x.scale");
    p.w_codes = golden.u8("w.codes");
    p.w_scales = golden.u8("w.scale");
    const std::vector<float> bias = golden.f32("bias");
    const std::vector<double> expected = golden.f64("y");
    const std::vector<double> magnitude = golden.f64("y.abs_sum");
    const Guarded y = run(p, {.epilogue = {.bias = bias.data()}});
    for (int64_t i = 0; i < y.count(); ++i) {
      const auto at = static_cast<size_t>(i);
      ExactSum sum = p.exact_sum(i / shape.n, i % shape.n);
      sum.magnitude = magnitude[at];
      ASSERT_NEAR(y[i], expected[at],
                  bound(shape, sum, rounding()) + 0x1p-23 * std::fabs(expected[at]))
          << entry.path() << " at " << i;
    }
    ++files;
  }
  EXPECT_GE(files, 5);
}

// What a row rounds beyond the definition adds less than 0.1 dB to the noise of quantizing, and
// where Compute::kAuto takes a fast row, less than 0.3 dB.
TEST_P(GemmMxRow, RoundingIsSmallBesideThatOfTheFormat) {
  const Shape shape = {24, 40, 512};
  for (const std::string kind : {"gaussian", "heavy tails", "outlier channels", "spread scales"}) {
    const std::vector<float> x = characteristic_floats(kind, shape.m, shape.k, 30);
    const bool weights_too = kind == "heavy tails";
    const std::vector<float> w =
        characteristic_floats(weights_too ? kind : "gaussian", shape.n, shape.k, 31);
    Problem p(shape);
    const auto quantize = [](const std::vector<float>& values, std::vector<uint8_t>& codes,
                             std::vector<uint8_t>& scales) {
      for (size_t i = 0; i < scales.size(); ++i) {
        scales[i] = formats::quantize_mx_block(
            std::span<const float, kBlock>(values.data() + i * kBlock, kBlock), {},
            std::span<uint8_t, kBlock>(codes.data() + i * kBlock, kBlock));
      }
    };
    quantize(x, p.x_codes, p.x_scales);
    quantize(w, p.w_codes, p.w_scales);
    if (fast() && p.packed().fast_noise > kAutoNoise) {
      EXPECT_NE(kind, "gaussian");
      continue;
    }
    const Guarded y = run(p);
    double noise = 0, defined_noise = 0;
    for (int64_t i = 0; i < y.count(); ++i) {
      double exact = 0;
      for (int64_t t = 0; t < shape.k; ++t) {
        exact += double{x[static_cast<size_t>(i / shape.n * shape.k + t)]} *
                 w[static_cast<size_t>(i % shape.n * shape.k + t)];
      }
      noise += std::pow(y[i] - exact, 2);
      defined_noise += std::pow(p.exact_sum(i / shape.n, i % shape.n).value - exact, 2);
    }
    EXPECT_LT(10 * std::log10(noise / defined_noise), fast() ? 0.3 : 0.1) << kind;
    std::cout << GetParam().name << " " << kind << " " << 10 * std::log10(noise / defined_noise)
              << " dB\n";
  }
}

TEST_P(GemmMxRow, NoRowsIsNoWork) {
  Problem p({0, 33, 64});
  run(p);
}

TEST(GemmMxTable, EndsWithTheReference) {
  ASSERT_FALSE(gemm_mx_rows().empty());
  const auto& last = gemm_mx_rows().back();
  EXPECT_STREQ(last.name, "reference");
  EXPECT_EQ(last.requires_cpu, kCpuNone);
}

}  // namespace
}  // namespace test
}  // namespace mxvideo::kernels
