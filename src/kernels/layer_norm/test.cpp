#include <gtest/gtest.h>

#include <cmath>

#include "kernels/common/test_rows.h"
#include "kernels/layer_norm/layer_norm.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;
using test::kUnit;

const float kX[] = {1, -2, 3.5f, 0.25f, 10, 10.5f, 9, 12};
const float kWeight[] = {0.5f, 2, -1, 1.5f};
const float kBias[] = {0.25f, -0.5f, 1, 0};
const float kScale[] = {0.5f, -0.25f, 0, 1, -1, 2, 0.125f, 0.75f};
const float kShift[] = {1, 2, 3, 4, -0.5f, 0.25f, 0, 8};

void expect_reference(LayerNormArgs args, const std::vector<double>& expected) {
  std::vector<float> y(8);
  args.x = kX;
  args.y = y.data();
  args.rows = 2;
  args.dim = 4;
  Context context;
  context.policy.forced_rows["layer_norm"] = "reference";
  layer_norm(args, context);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], static_cast<float>(expected[i])) << i;
}

// Expected values: torch.nn.functional.layer_norm of PyTorch in float64, then · (1 + scale) +
// shift.
TEST(LayerNorm, ReferenceEqualsPyTorch) {
  expect_reference(
      {}, {0.1591517328800705, -1.3687049027686062, 1.4323655959206345, -0.2228124260320987,
           -0.34641001371220126, 0.11547000457073375, -1.2701700502780713, 1.5011100594195388});
  expect_reference(
      {.epsilon = 1e-5f, .weight = kWeight, .bias = kBias},
      {0.3295757735613991, -3.2374066105121293, -0.432363924105184, -0.3342182489578763,
       0.07679565824672716, -0.2690608776623029, 2.270165172857334, 2.251656442792547});
  const int32_t rows[] = {0, 1};
  expect_reference(
      {.scale = kScale, .shift = kShift, .modulation_stride = 4, .modulation_row = rows},
      {1.2387275993201057, 0.9734713229235452, 4.4323655959206345, 3.5543751479358026, -0.5,
       0.5964100137122013, -1.4289413065628302, 10.626942603984194});
  const int32_t swapped[] = {1, 0};
  expect_reference({.epsilon = 1e-5f,
                    .weight = kWeight,
                    .bias = kBias,
                    .scale = kScale,
                    .shift = kShift,
                    .modulation_stride = 4,
                    .modulation_row = swapped},
                   {-0.5, -9.462219831536387, -0.486409414618332, 7.415118064323717,
                    1.1151934873700908, 1.798204341753273, 5.270165172857334, 8.503312885585094});
}

// blocks.input -> block0.norm1 of the DiT goldens (fp32 of PyTorch).
TEST(LayerNorm, RowsEqualTheGoldens) {
  for (const char* name : {"t2v-a14b_f3_6x10", "ti2v-5b_f3_6x10"}) {
    const test::GoldenFile golden("dit/" + std::string(name) + ".safetensors");
    const std::vector<float> x = golden.f32("blocks.input");
    const int64_t dim = golden.shape("blocks.input").back();
    const auto count = static_cast<int64_t>(x.size());
    for (const auto& row : host_rows(layer_norm_rows())) {
      Context context;
      context.policy.forced_rows["layer_norm"] = row.name;
      std::vector<float> y(x.size());
      layer_norm({.x = x.data(), .y = y.data(), .rows = count / dim, .dim = dim}, context);
      EXPECT_LT(test::relative_rms(y, golden.f32("block0.norm1")), 4 * kUnit) << row.name;
    }
  }
}

struct Exact {
  std::vector<double> values;
  std::vector<double> bounds;
};

// The result in double, and the bound on an fp32 evaluation: Higham's analysis step by step, sums
// of n terms in at least four chains (n/4 + 8 roundings), first order with 5 % for the rest.
Exact exact_layer_norm(const LayerNormArgs& args) {
  Exact exact;
  const auto n = static_cast<double>(args.dim);
  const double chain = (n / 4 + 8) * kUnit;
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.dim;
    double sum = 0;
    double magnitude = 0;
    for (int64_t i = 0; i < args.dim; ++i) {
      sum += x[i];
      magnitude += std::abs(x[i]);
    }
    const double mean = sum / n;
    double squares = 0;
    for (int64_t i = 0; i < args.dim; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const double variance = squares / n + static_cast<double>(args.epsilon);
    const double inverse = 1 / std::sqrt(variance);
    const double mean_error = chain * magnitude / n + kUnit * std::abs(mean);
    const double inverse_error =
        0.5 * (chain + 3 * kUnit + mean_error * mean_error / variance) + 3 * kUnit;
    const int64_t offset =
        (args.modulation_row == nullptr ? 0 : args.modulation_row[r]) * args.modulation_stride;
    for (int64_t i = 0; i < args.dim; ++i) {
      double value = (x[i] - mean) * inverse;
      double error = inverse * mean_error + std::abs(value) * (inverse_error + 2 * kUnit);
      const auto multiply = [&](double factor, double roundings) {
        value *= factor;
        error = error * std::abs(factor) + roundings * kUnit * std::abs(value);
      };
      const auto add = [&](double term) {
        value += term;
        error += kUnit * std::abs(value);
      };
      if (args.weight != nullptr) multiply(args.weight[i], 1);
      if (args.bias != nullptr) add(args.bias[i]);
      if (args.scale != nullptr) {
        multiply(1.0 + args.scale[offset + i], 2);
        add(args.shift[offset + i]);
      }
      exact.values.push_back(value);
      exact.bounds.push_back(1.05 * error + kUnit * std::abs(value));
    }
  }
  return exact;
}

struct Case {
  int64_t rows, dim;
  bool affine, modulated;
  float offset;  // added to x, so that the mean is not small
};

class LayerNormRows : public testing::TestWithParam<Case> {};

TEST_P(LayerNormRows, StayInsideTheBound) {
  const Case& c = GetParam();
  std::vector<float> x = test::random_floats(c.rows * c.dim, 2, 1);
  for (float& value : x) value += c.offset;
  const std::vector<float> weight = test::random_floats(c.dim, 1, 2);
  const std::vector<float> bias = test::random_floats(c.dim, 1, 3);
  const std::vector<float> modulation = test::random_floats(3 * (6 * c.dim), 1, 4);
  std::vector<int32_t> vector_of_row(c.rows);
  for (int64_t r = 0; r < c.rows; ++r) vector_of_row[r] = static_cast<int32_t>(r * 7 % 3);
  LayerNormArgs args = {.x = x.data(), .rows = c.rows, .dim = c.dim};
  if (c.affine) {
    args.weight = weight.data();
    args.bias = bias.data();
  }
  if (c.modulated) {
    // Vectors of six chunks, as the blocks of the transformer have them.
    args.scale = modulation.data() + c.dim;
    args.shift = modulation.data();
    args.modulation_stride = 6 * c.dim;
    args.modulation_row = vector_of_row.data();
  }
  const Exact exact = exact_layer_norm(args);
  for (const auto& row : host_rows(layer_norm_rows())) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    test::sweep(
        {"layer_norm", row.name},
        [&](Context& context) {
          Guarded y(c.rows * c.dim);
          Guarded in_place{std::span<const float>(x)};
          LayerNormArgs call = args;
          call.y = y.data();
          layer_norm(call, context);
          call.x = call.y = in_place.data();
          layer_norm(call, context);
          EXPECT_TRUE(y.intact() && in_place.intact());
          const auto values = y.values();
          EXPECT_TRUE(std::equal(values.begin(), values.end(), in_place.values().begin()));
          return std::vector<float>(values.begin(), values.end());
        },
        [&](std::span<const float> y) { test::expect_within(y, exact.values, exact.bounds); });
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LayerNormRows,
                         testing::Values(Case{1, 1, true, false, 0}, Case{3, 5, true, true, 0},
                                         Case{7, 24, false, true, 0}, Case{5, 64, true, false, 3},
                                         Case{9, 131, false, false, 100},
                                         Case{4, 3072, false, true, 1},
                                         Case{0, 8, false, false, 0}));

// The quantizing entry against the two steps, codes and scales one behind the other.
TEST(LayerNormMx, HasTheBitsOfNormThenQuantize) {
  for (const auto& size : {std::pair{1, 32}, {5, 96}, {13, 1056}, {3, 5120}}) {
    const int64_t rows = size.first, dim = size.second;
    SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(dim));
    const std::vector<float> x = test::random_floats(rows * dim, 2, 1);
    const std::vector<float> vectors = test::random_floats(4 * (2 * dim), 1, 2);
    std::vector<int32_t> vector_of_row(rows);
    for (int64_t r = 0; r < rows; ++r) vector_of_row[r] = static_cast<int32_t>(r * 7 % 3);
    const LayerNormArgs args = {.x = x.data(),
                                .rows = rows,
                                .dim = dim,
                                .weight = vectors.data() + 6 * dim,
                                .bias = vectors.data() + 7 * dim,
                                .scale = vectors.data() + dim,
                                .shift = vectors.data(),
                                .modulation_stride = 2 * dim,
                                .modulation_row = vector_of_row.data()};
    const formats::MxOptions options{.scale_rule = formats::ScaleRule::kCeil};
    const int64_t codes = rows * dim;
    for (const auto& row : host_rows(layer_norm_rows())) {
      test::sweep(
          {"layer_norm", row.name},
          [&](Context& context) {
            std::vector<float> y(x.size());
            LayerNormArgs plain = args;
            plain.y = y.data();
            layer_norm(plain, context);
            std::vector<uint8_t> expected(static_cast<size_t>(codes + codes / 32) + 2, 0xa5);
            std::vector<uint8_t> actual = expected;
            quantize_mx({.x = y.data(),
                         .codes = expected.data() + 1,
                         .scales = expected.data() + 1 + codes,
                         .m = rows,
                         .k = dim,
                         .options = options},
                        context);
            layer_norm_mx(args,
                          {.codes = actual.data() + 1,
                           .scales = actual.data() + 1 + codes,
                           .options = options},
                          context);
            EXPECT_EQ(actual, expected);
            return std::vector<float>(actual.begin(), actual.end());
          },
          [](std::span<const float>) {});
    }
  }
}

}  // namespace
}  // namespace mxvideo::kernels
