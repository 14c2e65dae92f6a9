#include "kernels/layout/copy_nd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "kernels/common/test_rows.h"
#include "kernels/layout/fill.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;

constexpr float kUntouched = 12345.0f;

// 0, 1, 2 …: every element of x is known by its place.
std::vector<float> numbers(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

// Copies x as `args` say, `x_offset` and `y_offset` floats in, and compares all of y, the elements
// included that are none of its business.
void expect_copy(CopyNdArgs args, const std::vector<float>& x, const std::vector<float>& expected,
                 int64_t x_offset = 0, int64_t y_offset = 0) {
  for (const auto& row : host_rows(copy_nd_rows())) {
    test::sweep(
        {"copy_nd", row.name},
        [&](Context& context) {
          Guarded y(static_cast<int64_t>(expected.size()), kUntouched);
          args.x = x.data() + x_offset;
          args.y = y.data() + y_offset;
          copy_nd(args, context);
          EXPECT_TRUE(y.intact());
          return std::vector<float>(y.values().begin(), y.values().end());
        },
        [&](std::span<const float> y) {
          EXPECT_EQ(std::vector<float>(y.begin(), y.end()), expected);
        });
  }
}

// Expected values: written by hand.
TEST(CopyNd, Transposes) {
  expect_copy({.axes = {{{2, 3, 1}, {3, 1, 2}}}}, numbers(6), {0, 3, 1, 4, 2, 5});
}

TEST(CopyNd, TheOrderOfTheAxesIsFree) {
  expect_copy({.axes = {{{3, 1, 2}, {}, {2, 3, 1}}}}, numbers(6), {0, 3, 1, 4, 2, 5});
}

TEST(CopyNd, CropsAWindow) {  // rows 1 and 2, columns 2 and 3 of [4, 5], two floats a pixel
  expect_copy({.axes = {{{2, 10, 4}, {4, 1, 1}}}}, numbers(40), {14, 15, 16, 17, 24, 25, 26, 27},
              14);
}

TEST(CopyNd, PastesAWindow) {  // [2, 2] at row 1, column 1 of [3, 4]
  const float u = kUntouched;
  expect_copy({.axes = {{{2, 2, 4}, {2, 1, 1}}}}, numbers(4), {u, u, u, u, u, 0, 1, u, u, 2, 3, u},
              0, 5);
}

TEST(CopyNd, RepeatsValues) {  // [1, 2] pixels of two floats, each doubled in both directions
  expect_copy({.axes = {{{1, 4, 16}, {2, 0, 8}, {2, 2, 4}, {2, 0, 2}, {2, 1, 1}}}}, numbers(4),
              {0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3});
}

TEST(CopyNd, CopiesOneValueAndNone) {
  expect_copy({}, {7}, {7});
  expect_copy({.axes = {{{3, 4, 4}, {0, 1, 1}}}}, numbers(12), {kUntouched});
}

TEST(CopyNd, CopiesLongRuns) {
  for (const int64_t count : {4096, 16384, 16385, 50003}) {
    std::vector<float> expected = numbers(count + 2);
    expected.front() = expected.back() = kUntouched;
    expect_copy({.axes = {{{count, 1, 1}}}}, numbers(count + 1), expected, 1, 1);
  }
}

// The patches of the transformer: torch's view(c, t, pt, h, ph, w, pw).permute(1, 3, 5, 0, 2, 4,
// 6).
TEST(CopyNd, TakesVideoApartIntoPatches) {
  const int64_t c = 3, t = 2, pt = 2, h = 3, ph = 2, w = 40, pw = 2;
  const std::vector<float> x = numbers(c * t * pt * h * ph * w * pw);
  std::vector<float> expected;
  for (int64_t token = 0; token < t * h * w; ++token) {
    for (int64_t feature = 0; feature < c * pt * ph * pw; ++feature) {
      const int64_t frame = token / (h * w) * pt + feature / (ph * pw) % pt;
      const int64_t row = token / w % h * ph + feature / pw % ph;
      const int64_t column = token % w * pw + feature % pw;
      const int64_t channel = feature / (pt * ph * pw);
      expected.push_back(
          static_cast<float>(((channel * t * pt + frame) * h * ph + row) * w * pw + column));
    }
  }
  const int64_t line = w * pw, plane = h * ph * line, token = c * pt * ph * pw;
  expect_copy({.axes = {{{t, pt * plane, h * w * token},
                         {h, ph * line, w * token},
                         {w, pw, token},
                         {c, t * pt * plane, pt * ph * pw},
                         {pt, plane, ph * pw},
                         {ph, line, pw},
                         {pw, 1, 1}}}},
              x, expected);
}

// Many short runs over several threads: [257, 3, 61] to [61, 257, 3].
TEST(CopyNd, SharesShortRuns) {
  const int64_t a = 257, b = 3, c = 61;
  std::vector<float> expected(static_cast<size_t>(a * b * c));
  for (int64_t i = 0; i < a * b * c; ++i) {
    expected[static_cast<size_t>(i % c * a * b + i / c)] = static_cast<float>(i);
  }
  expect_copy({.axes = {{{a, b * c, b}, {b, c, 1}, {c, 1, a * b}}}}, numbers(a * b * c), expected);
}

TEST(CopyNd, ClampsAndKeepsNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float below = std::nextafter(-1.0f, -2.0f), above = std::nextafter(1.0f, 2.0f);
  expect_copy({.axes = {{{8, 1, 1}}}, .values = CopyValues::kClampToOne},
              {-infinity, below, -1, -0.5f, 0.25f, 1, above, infinity},
              {-1, -1, -1, -0.5f, 0.25f, 1, 1, 1});
  expect_copy({.axes = {{{4, 1, 1}}}}, {-infinity, below, above, infinity},
              {-infinity, below, above, infinity});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& row : host_rows(copy_nd_rows())) {
    test::sweep(
        {"copy_nd", row.name},
        [&](Context& context) {
          std::vector<float> y(1);
          copy_nd({.x = &nan, .y = y.data(), .values = CopyValues::kClampToOne}, context);
          return y;
        },
        [](std::span<const float> y) { EXPECT_TRUE(std::isnan(y[0])); });
  }
}

TEST(Fill, WritesRunsAndNothingElse) {
  struct Case {
    int64_t rows, width, stride;
  };
  for (const Case& c :
       {Case{1, 5, 0}, Case{3, 4, 7}, Case{2, 9001, 9003}, Case{0, 4, 4}, Case{2, 0, 4}}) {
    const int64_t count = std::max<int64_t>(c.rows - 1, 0) * c.stride + c.width + 2;
    std::vector<float> expected(static_cast<size_t>(count), kUntouched);
    for (int64_t row = 0; row < c.rows; ++row) {
      for (int64_t i = 0; i < c.width; ++i) {
        expected[static_cast<size_t>(row * c.stride + i)] = -1.5f;
      }
    }
    test::sweep(
        {"fill", "reference"},
        [&](Context& context) {
          Guarded y(count, kUntouched);
          fill(
              {.y = y.data(), .value = -1.5f, .rows = c.rows, .width = c.width, .stride = c.stride},
              context);
          EXPECT_TRUE(y.intact());
          return std::vector<float>(y.values().begin(), y.values().end());
        },
        [&](std::span<const float> y) {
          EXPECT_EQ(std::vector<float>(y.begin(), y.end()), expected);
        });
  }
}

}  // namespace
}  // namespace mxvideo::kernels
