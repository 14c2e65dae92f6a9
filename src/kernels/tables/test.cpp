#include <gtest/gtest.h>

#include <cmath>

#include "kernels/common/test_rows.h"
#include "kernels/tables/rope_tables.h"
#include "kernels/tables/time_sinusoid.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;
using test::kUnit;

constexpr double kDouble = 0x1p-53;

struct Case {
  int64_t frames, rows, columns, head_dim;
};

class RopeTables : public testing::TestWithParam<Case> {};

// WanRotaryPosEmbed: a table per axis by the outer product of positions and 1/theta^(2j/d), its
// parts of head_dim side by side. Angles here in long double.
TEST_P(RopeTables, RowsEqualTheFormula) {
  const Case& c = GetParam();
  const int64_t h_dim = 2 * (c.head_dim / 6);
  const int64_t t_dim = c.head_dim - 2 * h_dim;
  std::vector<double> expected, bounds;
  for (const bool sine : {false, true}) {
    for (int64_t t = 0; t < c.frames; ++t) {
      for (int64_t h = 0; h < c.rows; ++h) {
        for (int64_t w = 0; w < c.columns; ++w) {
          for (const auto& [position, dim] : {std::pair(t, t_dim), {h, h_dim}, {w, h_dim}}) {
            for (int64_t k = 0; k < dim; k += 2) {
              const long double exponent = static_cast<long double>(k) / dim;
              const long double angle = position / std::pow(10000.0L, exponent);
              expected.push_back(static_cast<double>(sine ? std::sin(angle) : std::cos(angle)));
              // pow, division, product, and the exponent's own error, ln(theta) times as large;
              // then one rounding to float.
              const double angle_error = static_cast<double>(angle) * 16 * kDouble;
              bounds.push_back(kUnit * std::abs(expected.back()) + angle_error + 4 * kDouble);
            }
          }
        }
      }
    }
  }
  const auto count = static_cast<int64_t>(expected.size()) / 2;
  for (const auto& row : host_rows(rope_tables_rows())) {
    test::sweep(
        {"rope_tables", row.name},
        [&](Context& context) {
          Guarded cosine(count), sine(count);
          rope_tables({.cos = cosine.data(),
                       .sin = sine.data(),
                       .frames = c.frames,
                       .rows = c.rows,
                       .columns = c.columns,
                       .head_dim = c.head_dim},
                      context);
          EXPECT_TRUE(cosine.intact() && sine.intact());
          std::vector<float> both(cosine.values().begin(), cosine.values().end());
          both.insert(both.end(), sine.values().begin(), sine.values().end());
          return both;
        },
        [&](std::span<const float> both) { test::expect_within(both, expected, bounds); });
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RopeTables,
                         testing::Values(Case{1, 1, 1, 2}, Case{3, 1, 2, 4}, Case{2, 5, 3, 24},
                                         Case{5, 7, 11, 46}, Case{3, 4, 100, 128}));

// The plain values are known: cos and sin of whole numbers at f_0 = 1, and of 0.
TEST(TimeSinusoid, BeginsWithTheTimestepItself) {
  Context context;
  std::vector<float> y(3 * 8);
  time_sinusoid({.timesteps = {0, 1, 2.5f}, .y = y.data(), .dim = 8}, context);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(y[i], 1);
    EXPECT_EQ(y[4 + i], 0);
  }
  EXPECT_FLOAT_EQ(y[8], 0.54030230586f);
  EXPECT_FLOAT_EQ(y[12], 0.84147098481f);
  EXPECT_FLOAT_EQ(y[16], -0.80114361554f);
  EXPECT_FLOAT_EQ(y[20], 0.59847214410f);
}

TEST(TimeSinusoid, StaysNearTheFormula) {
  const int64_t dim = 256;
  const std::vector<float> timesteps = {1, 37, 999, 500.5f};
  std::vector<double> expected, bounds;
  for (const float timestep : timesteps) {
    for (int64_t i = 0; i < dim; ++i) {
      const double power = static_cast<double>(i % (dim / 2)) / (dim / 2);
      const double angle = timestep * std::pow(10000.0, -power);
      expected.push_back(i < dim / 2 ? std::cos(angle) : std::sin(angle));
      // log, product and division in the exponent (up to 9.2), exp (2u), product; cos or sin.
      const double angle_error = angle * (power * 9.22 * 3 + 3) * kUnit;
      bounds.push_back(angle_error + 2 * kUnit);
    }
  }
  test::sweep(
      {"time_sinusoid", "reference"},
      [&](Context& context) {
        Guarded y(static_cast<int64_t>(expected.size()));
        time_sinusoid({.timesteps = timesteps, .y = y.data(), .dim = dim}, context);
        EXPECT_TRUE(y.intact());
        return std::vector<float>(y.values().begin(), y.values().end());
      },
      [&](std::span<const float> y) { test::expect_within(y, expected, bounds); });
}

}  // namespace
}  // namespace mxvideo::kernels
