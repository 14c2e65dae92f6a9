#include "kernels/layout/blend.h"

#include <gtest/gtest.h>

#include "kernels/common/test_rows.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;

// Expected values: by hand. Quarters of small integers are exact.
TEST(Blend, FadesFromOneToTheOther) {
  const float u = 99;
  // Two rows of four steps of two floats in rows of ten; x has rows of nine.
  const std::vector<float> x = {4, 8,  4, 8,  4, 8,  4, 8,  u,  //
                                0, 16, 0, 16, 0, 16, 0, 16, u};
  const std::vector<float> y = {0, 0, 0, 0, 0, 0, 0, 0, u, u,  //
                                8, 4, 8, 4, 8, 4, 8, 4, u, u};
  const std::vector<float> expected = {4, 8,  3, 6,  2, 4,  1, 2, u, u,  //
                                       0, 16, 2, 13, 4, 10, 6, 7, u, u};
  test::sweep(
      {"blend", "reference"},
      [&](Context& context) {
        Guarded result{std::span<const float>(y)};
        blend({.x = x.data(),
               .y = result.data(),
               .from = {.row = 9, .step = 2},
               .to = {.row = 10, .step = 2},
               .rows = 2,
               .steps = 4,
               .width = 2},
              context);
        EXPECT_TRUE(result.intact());
        return std::vector<float>(result.values().begin(), result.values().end());
      },
      [&](std::span<const float> result) {
        EXPECT_EQ(std::vector<float>(result.begin(), result.end()), expected);
      });
}

// diffusers: b[y] = a[-extent + y] * (1 - y / extent) + b[y] * (y / extent).
TEST(Blend, StaysNearTheFormulaAtAnySize) {
  for (const int64_t steps : {1, 3, 7, 48}) {
    const int64_t rows = 5, width = 301;
    const std::vector<float> x = test::random_floats(rows * steps * width, 2, 1);
    const std::vector<float> y = test::random_floats(rows * steps * width, 2, 2);
    std::vector<double> expected, bounds;
    for (int64_t i = 0; i < rows * steps * width; ++i) {
      const auto at = static_cast<size_t>(i);
      const double share = static_cast<double>(i / width % steps) / static_cast<double>(steps);
      expected.push_back(x[at] * (1 - share) + y[at] * share);
      // Two roundings for 1 - share, one for share, one for each product, one for the sum.
      bounds.push_back(4 * test::kUnit * (std::abs(x[at]) + std::abs(y[at])));
    }
    test::sweep(
        {"blend", "reference"},
        [&](Context& context) {
          std::vector<float> result = y;
          blend({.x = x.data(),
                 .y = result.data(),
                 .from = {.row = steps * width, .step = width},
                 .to = {.row = steps * width, .step = width},
                 .rows = rows,
                 .steps = steps,
                 .width = width},
                context);
          return result;
        },
        [&](std::span<const float> result) { test::expect_within(result, expected, bounds); });
  }
}

}  // namespace
}  // namespace mxvideo::kernels
