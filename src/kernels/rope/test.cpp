#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/common/test_rows.h"
#include "kernels/rope/rope.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;
using test::kUnit;

// Expected values: pairs as complex128 of PyTorch times torch.polar(1, [0.3, 2.0]); the cosines and
// sines here are rounded to fp32 first, hence the tolerance of 2 · 2^-24 · (|a| + |b|).
TEST(Rope, ReferenceEqualsComplexRotation) {
  std::vector<float> x = {1, 2, -0.5f, 4};
  const float cos[] = {static_cast<float>(std::cos(0.3)), static_cast<float>(std::cos(2.0))};
  const float sin[] = {static_cast<float>(std::sin(0.3)), static_cast<float>(std::sin(2.0))};
  Context context;
  context.policy.forced_rows["rope"] = "reference";
  rope({.x = x.data(), .cos = cos, .sin = sin, .rows = 1, .heads = 1, .head_dim = 4}, context);
  const double expected[] = {0.3642960758029269, 2.2061931849125513, -3.4291162890291558,
                             -2.1192360596014104};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(x[i], expected[i], 2 * kUnit * (i < 2 ? 3 : 4.5));
}

// block0.attn1.norm_q -> block0.attn1.q of the DiT goldens, which repeat each angle for both halves
// of its pair.
TEST(Rope, RowsEqualTheGoldens) {
  for (const char* name : {"t2v-a14b_f3_6x10", "ti2v-5b_f3_6x10"}) {
    const test::GoldenFile golden("dit/" + std::string(name) + ".safetensors");
    const std::vector<int64_t> shape = golden.shape("block0.attn1.q");  // [1, rows, heads, dim]
    std::vector<float> cos = golden.f32("rope.cos");
    std::vector<float> sin = golden.f32("rope.sin");
    for (std::vector<float>* angles : {&cos, &sin}) {
      for (size_t i = 0; i < angles->size() / 2; ++i) (*angles)[i] = (*angles)[2 * i];
    }
    for (const auto& row : host_rows(rope_rows())) {
      Context context;
      context.policy.forced_rows["rope"] = row.name;
      std::vector<float> x = golden.f32("block0.attn1.norm_q");
      rope({.x = x.data(),
            .cos = cos.data(),
            .sin = sin.data(),
            .rows = shape[1],
            .heads = shape[2],
            .head_dim = shape[3]},
           context);
      EXPECT_LT(test::relative_rms(x, golden.f32("block0.attn1.q")), 2 * kUnit) << row.name;
    }
  }
}

struct Case {
  int64_t rows, heads, head_dim;
};

class RopeRows : public testing::TestWithParam<Case> {};

TEST_P(RopeRows, StayInsideTheBound) {
  const Case& c = GetParam();
  const int64_t pairs = c.head_dim / 2;
  const std::vector<float> x = test::random_floats(c.rows * c.heads * c.head_dim, 3, 1);
  const std::vector<float> cos = test::random_floats(c.rows * pairs, 1, 2);
  const std::vector<float> sin = test::random_floats(c.rows * pairs, 1, 3);
  std::vector<double> expected;
  std::vector<double> bounds;
  for (int64_t i = 0; i < c.rows * c.heads * pairs; ++i) {
    const int64_t angle = i / (c.heads * pairs) * pairs + i % pairs;
    const double ac = double{x[2 * i]} * cos[angle];
    const double as = double{x[2 * i]} * sin[angle];
    const double bc = double{x[2 * i + 1]} * cos[angle];
    const double bs = double{x[2 * i + 1]} * sin[angle];
    expected.push_back(ac - bs);
    bounds.push_back(2.1 * kUnit * (std::abs(ac) + std::abs(bs)));
    expected.push_back(as + bc);
    bounds.push_back(2.1 * kUnit * (std::abs(as) + std::abs(bc)));
  }
  for (const auto& row : host_rows(rope_rows())) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    test::sweep(
        {"rope", row.name},
        [&](Context& context) {
          Guarded y{std::span<const float>(x)};
          rope({.x = y.data(),
                .cos = cos.data(),
                .sin = sin.data(),
                .rows = c.rows,
                .heads = c.heads,
                .head_dim = c.head_dim},
               context);
          EXPECT_TRUE(y.intact());
          return std::vector<float>(y.values().begin(), y.values().end());
        },
        [&](std::span<const float> y) { test::expect_within(y, expected, bounds); });
  }
}

TEST_P(RopeRows, WithTheNormHasTheBitsOfTheTwo) {
  const Case& c = GetParam();
  const int64_t dim = c.heads * c.head_dim;
  const std::vector<float> x = test::random_floats(c.rows * dim, 3, 1);
  const std::vector<float> angles = test::random_floats(c.rows * c.head_dim, 1, 2);
  const std::vector<float> weight = test::random_floats(dim, 2, 3);
  for (const auto& row : host_rows(rope_rows())) {
    test::sweep(
        {"rope", row.name},
        [&](Context& context) {
          Guarded expected(c.rows * dim), actual(c.rows * dim);
          RmsNormArgs norm = {.x = x.data(),
                              .y = expected.data(),
                              .rows = c.rows,
                              .dim = dim,
                              .weight = weight.data()};
          RopeArgs rotation = {.x = expected.data(),
                               .cos = angles.data(),
                               .sin = angles.data() + c.rows * c.head_dim / 2,
                               .rows = c.rows,
                               .heads = c.heads,
                               .head_dim = c.head_dim};
          rms_norm(norm, context);
          rope(rotation, context);
          norm.y = rotation.x = actual.data();
          rms_norm_rope(norm, rotation, context);
          EXPECT_TRUE(actual.intact());
          EXPECT_TRUE(std::ranges::equal(actual.values(), expected.values()));
          return std::vector<float>(actual.values().begin(), actual.values().end());
        },
        [](std::span<const float>) {});
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RopeRows,
                         testing::Values(Case{1, 1, 2}, Case{3, 2, 6}, Case{5, 3, 24},
                                         Case{9, 5, 46}, Case{8, 4, 128}));

}  // namespace
}  // namespace mxvideo::kernels
