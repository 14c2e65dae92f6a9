#include <gtest/gtest.h>

#include <cmath>

#include "kernels/common/activation.h"
#include "kernels/common/test_rows.h"
#include "kernels/rms_norm/rms_norm.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;
using test::kUnit;

void expect_reference(RmsNormArgs args, const std::vector<double>& expected) {
  const float x[] = {1, -2, 3.5f, 0.25f, 10, 10.5f, 9, 12};
  const float weight[] = {0.5f, 2, -1, 1.5f};
  std::vector<float> y(8);
  args.x = x;
  args.y = y.data();
  args.rows = 2;
  args.dim = 4;
  args.weight = weight;
  Context context;
  context.policy.forced_rows["rms_norm"] = "reference";
  rms_norm(args, context);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], static_cast<float>(expected[i])) << i;
}

// Expected values from PyTorch in float64: x · rsqrt(mean(x²) + 1e-6) · weight;
// torch.nn.functional.normalize(x) · 2 · weight; the same through torch.nn.functional.silu.
TEST(RmsNorm, ReferenceEqualsPyTorch) {
  expect_reference(
      {}, {0.24033667948591933, -1.9226934358873546, -1.6823567564014352, 0.1802525096144395,
           0.4793255818302114, 2.013167443686888, -0.8627860472943805, 1.725572094588761});
  expect_reference(
      {.epsilon = 1e-12f, .kind = RmsNormKind::kL2},
      {0.24033670725044387, -1.922693658003551, -1.682356950753107, 0.1802525304378329,
       0.4793255840327413, 2.0131674529375134, -0.8627860512589343, 1.7255721025178687});
  expect_reference(
      {.epsilon = 1e-12f, .kind = RmsNormKind::kL2, .silu = true},
      {0.13453967729568644, -0.24526166677861083, -0.26376601613350237, 0.09822708713611503,
       0.2960260205177811, 1.7759612846869994, -0.25603830800709215, 1.4647435394075756});
}

struct Case {
  int64_t rows, dim;
  RmsNormKind kind;
  bool silu;
  float amplitude;
};

class RmsNormRows : public testing::TestWithParam<Case> {};

TEST_P(RmsNormRows, StayInsideTheBound) {
  const Case& c = GetParam();
  const std::vector<float> x = test::random_floats(c.rows * c.dim, c.amplitude, 1);
  const std::vector<float> weight = test::random_floats(c.dim, 2, 2);
  const float epsilon = c.kind == RmsNormKind::kL2 ? 1e-12f : 1e-6f;
  std::vector<double> expected;
  std::vector<double> bounds;
  // A sum in at least four chains; the square root halves its relative error; eight operations.
  const auto n = static_cast<double>(c.dim);
  const double relative = 1.05 * ((n / 4 + 8) / 2 + 8) * kUnit;
  for (int64_t r = 0; r < c.rows; ++r) {
    double squares = 0;
    for (int64_t i = 0; i < c.dim; ++i) squares += std::pow(double{x[r * c.dim + i]}, 2);
    const double factor = c.kind == RmsNormKind::kL2
                              ? std::sqrt(n) / std::max(std::sqrt(squares), double{epsilon})
                              : 1 / std::sqrt(squares / n + double{epsilon});
    for (int64_t i = 0; i < c.dim; ++i) {
      const double value = x[r * c.dim + i] * factor * weight[i];
      const double result = c.silu ? silu_value(value) : value;
      expected.push_back(result);
      // |silu'| < 1.1; then the bound of activation-inl.h.
      bounds.push_back(1.1 * relative * std::abs(value) + 7 * kUnit * std::abs(result) +
                       0x1p-126 * (1 + std::abs(value)));
    }
  }
  for (const auto& row : host_rows(rms_norm_rows())) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    test::sweep(
        {"rms_norm", row.name},
        [&](Context& context) {
          Guarded y(c.rows * c.dim);
          Guarded in_place{std::span<const float>(x)};
          RmsNormArgs call = {.x = x.data(),
                              .y = y.data(),
                              .rows = c.rows,
                              .dim = c.dim,
                              .epsilon = epsilon,
                              .weight = weight.data(),
                              .kind = c.kind,
                              .silu = c.silu};
          rms_norm(call, context);
          call.x = call.y = in_place.data();
          rms_norm(call, context);
          EXPECT_TRUE(y.intact() && in_place.intact());
          const auto values = y.values();
          EXPECT_TRUE(std::equal(values.begin(), values.end(), in_place.values().begin()));
          return std::vector<float>(values.begin(), values.end());
        },
        [&](std::span<const float> y) { test::expect_within(y, expected, bounds); });
  }
}

constexpr auto kMean = RmsNormKind::kMeanSquare;
constexpr auto kL2 = RmsNormKind::kL2;
INSTANTIATE_TEST_SUITE_P(Shapes, RmsNormRows,
                         testing::Values(Case{1, 1, kMean, false, 1}, Case{5, 7, kL2, true, 1},
                                         Case{9, 33, kL2, false, 0}, Case{9, 33, kMean, true, 0},
                                         Case{6, 96, kL2, true, 30}, Case{3, 259, kMean, false, 1},
                                         Case{4, 5120, kMean, false, 4},
                                         Case{4, 1000, kL2, true, 1e-3f}));

}  // namespace
}  // namespace mxvideo::kernels
