// Against AvgDown3D and DupUp3D of diffusers, done as they do it: pad or repeat, view, permute.
#include "kernels/layout/fold.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/common/test_rows.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;

struct Case {
  int64_t frames, rows, columns;  // of the smaller side
  int64_t in, out;
  int64_t time, space;
};

// Multiples of 1/8 below 16: sums of a few dozen are exact, and so are means over powers of two.
std::vector<float> eighths(int64_t count, uint32_t seed) {
  std::vector<float> values = test::random_floats(count, 1, seed);
  for (float& value : values) value = std::round(value * 127) / 8;
  return values;
}

size_t at(std::initializer_list<int64_t> index, std::initializer_list<int64_t> dims) {
  int64_t flat = 0;
  for (size_t i = 0; i < dims.size(); ++i) flat = flat * dims.begin()[i] + index.begin()[i];
  return static_cast<size_t>(flat);
}

// x [T, H, W, C] with `missing` zero frames in front -> [T/ft, H/fs, W/fs, C·ft·fs·fs].
std::vector<float> folded(const std::vector<float>& x, const Case& c, int64_t missing) {
  const int64_t fold = c.time * c.space * c.space;
  std::vector<float> y(static_cast<size_t>(c.frames * c.rows * c.columns * c.in * fold));
  const int64_t height = c.rows * c.space, width = c.columns * c.space;
  for (int64_t t = missing; t < c.frames * c.time; ++t) {
    for (int64_t h = 0; h < height; ++h) {
      for (int64_t w = 0; w < width; ++w) {
        for (int64_t channel = 0; channel < c.in; ++channel) {
          y[at(
              {t / c.time, h / c.space, w / c.space, channel, t % c.time, h % c.space, w % c.space},
              {c.frames, c.rows, c.columns, c.in, c.time, c.space, c.space})] =
              x[at({t - missing, h, w, channel}, {0, height, width, c.in})];
        }
      }
    }
  }
  return y;
}

class FoldCases : public testing::TestWithParam<Case> {};

void check_fold(FoldArgs args, const std::vector<float>& x, const std::vector<float>& y,
                const std::vector<float>& expected) {
  test::sweep(
      {"fold", "reference"},
      [&](Context& context) {
        Guarded result{std::span<const float>(y)};
        args.x = x.data();
        args.y = result.data();
        fold(args, context);
        EXPECT_TRUE(result.intact());
        return std::vector<float>(result.values().begin(), result.values().end());
      },
      [&](std::span<const float> result) {
        EXPECT_EQ(std::vector<float>(result.begin(), result.end()), expected);
      });
}

TEST_P(FoldCases, AveragesDown) {
  const Case& c = GetParam();
  const int64_t fold = c.time * c.space * c.space;
  const int64_t group = c.in * fold / c.out;
  const int64_t pixels = c.frames * c.rows * c.columns;
  for (int64_t missing = 0; missing < c.time; ++missing) {
    const FoldExtent from = {.frames = c.frames * c.time - missing,
                             .rows = c.rows * c.space,
                             .columns = c.columns * c.space,
                             .channels = c.in};
    const std::vector<float> x = eighths(from.frames * from.rows * from.columns * from.channels, 1);
    const std::vector<float> parts = folded(x, c, missing);
    const std::vector<float> y = eighths(pixels * c.out, 2);
    std::vector<float> expected = y;
    for (int64_t i = 0; i < pixels * c.out; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < group; ++k) sum += parts[static_cast<size_t>(i * group + k)];
      expected[static_cast<size_t>(i)] += static_cast<float>(sum / static_cast<double>(group));
    }
    check_fold({.op = FoldOp::kAverageDown,
                .from = from,
                .to = {c.frames, c.rows, c.columns, c.out},
                .time = c.time,
                .space = c.space},
               x, y, expected);
  }
}

// DupUp3D of `out` channels to `in`: repeat_interleave, view, permute, the first frames cut off.
TEST_P(FoldCases, DuplicatesUp) {
  const Case& c = GetParam();
  const int64_t fold = c.time * c.space * c.space;
  const int64_t repeats = c.in * fold / c.out;
  const std::vector<float> x = eighths(c.frames * c.rows * c.columns * c.out, 3);
  const int64_t height = c.rows * c.space, width = c.columns * c.space;
  for (int64_t dropped = 0; dropped < c.time; ++dropped) {
    const FoldExtent to = {
        .frames = c.frames * c.time - dropped, .rows = height, .columns = width, .channels = c.in};
    const std::vector<float> y = eighths(to.frames * height * width * c.in, 4);
    std::vector<float> expected = y;
    std::vector<float> repeated;
    for (const float value : x)
      repeated.insert(repeated.end(), static_cast<size_t>(repeats), value);
    for (int64_t t = dropped; t < c.frames * c.time; ++t) {
      for (int64_t h = 0; h < height; ++h) {
        for (int64_t w = 0; w < width; ++w) {
          for (int64_t channel = 0; channel < c.in; ++channel) {
            expected[at({t - dropped, h, w, channel}, {0, height, width, c.in})] +=
                repeated[at({t / c.time, h / c.space, w / c.space, channel, t % c.time, h % c.space,
                             w % c.space},
                            {c.frames, c.rows, c.columns, c.in, c.time, c.space, c.space})];
          }
        }
      }
    }
    check_fold({.op = FoldOp::kDuplicateUp,
                .from = {c.frames, c.rows, c.columns, c.out},
                .to = to,
                .time = c.time,
                .space = c.space},
               x, y, expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FoldCases,
                         testing::Values(Case{1, 1, 1, 4, 4, 1, 1}, Case{2, 3, 5, 4, 8, 1, 2},
                                         Case{3, 2, 4, 4, 4, 2, 2}, Case{2, 5, 3, 6, 12, 2, 2},
                                         Case{1, 9, 11, 2, 16, 2, 2}, Case{2, 2, 2, 8, 4, 2, 1}));

// Windows: the same numbers as those pixels of the whole frame.
TEST(Fold, AWindowIsAPartOfTheFrame) {
  const FoldExtent small = {.frames = 2, .rows = 4, .columns = 6, .channels = 4};
  const FoldExtent large = {.frames = 4, .rows = 8, .columns = 12, .channels = 2};
  const int64_t top = 1, left = 2, rows = 2, columns = 3;  // of the window, in the small frame
  const auto cut = [](const std::vector<float>& x, const FoldExtent& extent,
                      const FoldExtent& window) {
    std::vector<float> part;
    for (int64_t t = 0; t < window.frames; ++t) {
      for (int64_t h = window.top; h < window.top + window.rows; ++h) {
        for (int64_t w = window.left; w < window.left + window.columns; ++w) {
          for (int64_t c = 0; c < window.channels; ++c) {
            part.push_back(x[at({t, h, w, c}, {0, extent.rows, extent.columns, extent.channels})]);
          }
        }
      }
    }
    return part;
  };
  const FoldExtent small_window = {2, rows, columns, 4, top, left};
  const FoldExtent large_window = {4, 2 * rows, 2 * columns, 2, 2 * top, 2 * left};
  const std::vector<float> small_x = eighths(2 * 4 * 6 * 4, 5);
  const std::vector<float> large_x = eighths(4 * 8 * 12 * 2, 6);
  Context context;

  std::vector<float> down = small_x;
  fold({.x = large_x.data(), .y = down.data(), .from = large, .to = small, .time = 2, .space = 2},
       context);
  check_fold({.from = large_window, .to = small_window, .time = 2, .space = 2},
             cut(large_x, large, large_window), cut(small_x, small, small_window),
             cut(down, small, small_window));

  std::vector<float> up = large_x;
  fold({.op = FoldOp::kDuplicateUp,
        .x = small_x.data(),
        .y = up.data(),
        .from = small,
        .to = large,
        .time = 2,
        .space = 2},
       context);
  check_fold(
      {.op = FoldOp::kDuplicateUp, .from = small_window, .to = large_window, .time = 2, .space = 2},
      cut(small_x, small, small_window), cut(large_x, large, large_window),
      cut(up, large, large_window));
}

}  // namespace
}  // namespace mxvideo::kernels
