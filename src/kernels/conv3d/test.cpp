#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "kernels/conv3d/conv3d.h"
#include "kernels/conv3d/rows.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

struct Case {
  const char* name;
  Conv3dShape shape;
  VideoExtent x;
};

// 3x3x3 over space padded to its own size, as in the residual blocks.
Conv3dShape cubic(int64_t in, int64_t out) {
  return {.in_channels = in,
          .out_channels = out,
          .kernel_t = 3,
          .kernel_h = 3,
          .kernel_w = 3,
          .pad_top = 1,
          .pad_bottom = 1,
          .pad_left = 1,
          .pad_right = 1};
}

// 3x3 with stride 2, padded below and right only, as in the downsamplers.
Conv3dShape halving(int64_t channels) {
  return {.in_channels = channels,
          .out_channels = channels,
          .kernel_h = 3,
          .kernel_w = 3,
          .stride_h = 2,
          .stride_w = 2,
          .pad_bottom = 1,
          .pad_right = 1};
}

Conv3dShape planar(int64_t in, int64_t out) {
  Conv3dShape shape = cubic(in, out);
  shape.kernel_t = 1;
  return shape;
}

std::vector<Case> cases() {
  return {
      {"conv_in_rgb", cubic(3, 5), {.t = 3, .h = 7, .w = 11}},
      {"conv_in_patches", cubic(12, 4), {.t = 6, .h = 5, .w = 3}},
      {"residual", cubic(40, 20), {.t = 4, .h = 9, .w = 6}},
      {"residual_wide", cubic(96, 96), {.t = 3, .h = 17, .w = 13}},
      {"conv_out", cubic(17, 3), {.t = 5, .h = 8, .w = 10}},
      {"one_pixel", cubic(7, 9), {.t = 3, .h = 1, .w = 1}},
      {"upsample", planar(20, 10), {.t = 2, .h = 10, .w = 14}},
      {"downsample", halving(10), {.t = 4, .h = 6, .w = 10}},
      {"downsample_odd", halving(16), {.t = 1, .h = 7, .w = 9}},
      {"time_up", {.in_channels = 20, .out_channels = 40, .kernel_t = 3}, {.t = 4, .h = 5, .w = 7}},
      {"time_down",
       {.in_channels = 20, .out_channels = 20, .kernel_t = 3, .stride_t = 2},
       {.t = 5, .h = 5, .w = 7}},
      {"product_tiles", cubic(80, 64), {.t = 4, .h = 17, .w = 19}},
      {"product_depth", cubic(200, 96), {.t = 3, .h = 3, .w = 5}},
      {"product_upsample", planar(96, 192), {.t = 2, .h = 9, .w = 7}},
      {"product_downsample", halving(128), {.t = 2, .h = 7, .w = 10}},
      {"product_oblong",
       {.in_channels = 70,
        .out_channels = 64,
        .kernel_t = 2,
        .kernel_h = 2,
        .kernel_w = 3,
        .stride_w = 2,
        .pad_bottom = 1,
        .pad_left = 2},
       {.t = 3, .h = 6, .w = 9}},
      {"product_time_down",
       {.in_channels = 96, .out_channels = 256, .kernel_t = 3, .stride_t = 2},
       {.t = 5, .h = 3, .w = 4}},
      {"pointwise", {.in_channels = 40, .out_channels = 24}, {.t = 2, .h = 5, .w = 3}},
      {"pointwise_wide", {.in_channels = 192, .out_channels = 96}, {.t = 1, .h = 13, .w = 9}},
      {"asymmetric",
       {.in_channels = 5,
        .out_channels = 6,
        .kernel_t = 2,
        .kernel_h = 2,
        .kernel_w = 3,
        .stride_h = 3,
        .stride_w = 2,
        .pad_top = 1,
        .pad_left = 2},
       {.t = 3, .h = 8, .w = 9}},
  };
}

Tensor filled(const Shape& shape, uint32_t seed, bool integers) {
  std::mt19937 generator(seed);
  Tensor tensor(DType::kF32, shape);
  for (int64_t i = 0; i < tensor.count(); ++i) {
    const auto draw = static_cast<int>(generator() % 2001) - 1000;
    tensor.f32()[i] = integers ? static_cast<float>(draw % 5) : static_cast<float>(draw) / 700.0f;
  }
  return tensor;
}

struct Problem {
  Tensor x, weight, bias;
};

Problem make_problem(const Case& c, bool integers) {
  const Conv3dShape& s = c.shape;
  return {.x = filled({c.x.t, c.x.h, c.x.w, s.in_channels}, 1, integers),
          .weight = filled({s.out_channels, s.in_channels, s.kernel_t, s.kernel_h, s.kernel_w}, 2,
                           integers),
          .bias = filled({s.out_channels}, 3, integers)};
}

// Rows other than the reference that take the shape.
std::vector<const char*> fast_rows(const Conv3dShape& shape) {
  if (product_columns(shape) == 0) return {"onednn"};
  return {"onednn", "product"};
}

Tensor run_row(const Case& c, const Problem& problem, const char* row) {
  Context context;
  context.policy.forced_rows["conv3d"] = row;
  const Conv3d conv(c.shape, problem.weight, problem.bias);
  return conv.run(problem.x, context);
}

TEST(Conv3d, IsExactOnSmallIntegers) {
  for (const Case& c : cases()) {
    const Problem problem = make_problem(c, true);
    const Tensor expected = run_row(c, problem, "reference");
    for (const char* row : fast_rows(c.shape)) {
      const Tensor actual = run_row(c, problem, row);
      ASSERT_EQ(actual.shape(), expected.shape()) << c.name;
      EXPECT_TRUE(std::ranges::equal(actual.values(), expected.values())) << c.name << " " << row;
    }
  }
}

// |error| <= n·2^-24·Σ|x·w| for n fp32 additions in any order, Σ|x·w| from a convolution of the
// absolute values.
TEST(Conv3d, StaysInsideTheBoundOfFp32Accumulation) {
  for (const Case& c : cases()) {
    Problem problem = make_problem(c, false);
    const Tensor expected = run_row(c, problem, "reference");
    std::vector<Tensor> results;
    for (const char* row : fast_rows(c.shape)) results.push_back(run_row(c, problem, row));
    for (Tensor* tensor : {&problem.x, &problem.weight, &problem.bias}) {
      for (int64_t i = 0; i < tensor->count(); ++i) tensor->f32()[i] = std::abs(tensor->f32()[i]);
    }
    const Tensor magnitude = run_row(c, problem, "reference");
    const Conv3dShape& s = c.shape;
    const auto terms =
        static_cast<double>(s.in_channels * s.kernel_t * s.kernel_h * s.kernel_w + 2);
    for (const Tensor& actual : results) {
      for (int64_t i = 0; i < expected.count(); ++i) {
        const double error = std::abs(static_cast<double>(actual.f32()[i]) - expected.f32()[i]);
        ASSERT_LE(error, terms * 0x1p-24 * magnitude.f32()[i]) << c.name << " element " << i;
      }
    }
  }
}

// By hand: a 2x1x2 kernel over a 2x1x3 video with one zero column at the right.
TEST(Conv3d, MatchesAHandComputedCase) {
  const Conv3dShape shape{
      .in_channels = 1, .out_channels = 1, .kernel_t = 2, .kernel_w = 2, .pad_right = 1};
  const Tensor x = Tensor::from_values({2, 1, 3, 1}, std::vector<float>{1, 2, 3, 10, 20, 30});
  const Tensor weight = Tensor::from_values({1, 1, 2, 1, 2}, std::vector<float>{1, 2, 3, 4});
  const Tensor bias = Tensor::from_values({1}, std::vector<float>{0.5f});
  const Case c{"hand", shape, {.t = 2, .h = 1, .w = 3}};
  for (const char* row : {"onednn", "reference"}) {
    const Tensor y = run_row(c, {x.clone(), weight.clone(), bias.clone()}, row);
    EXPECT_EQ(y.shape(), (Shape{1, 1, 3, 1}));
    const std::vector<float> expected{1 + 4 + 30 + 80 + 0.5f, 2 + 6 + 60 + 120 + 0.5f,
                                      3 + 90 + 0.5f};
    EXPECT_TRUE(std::ranges::equal(y.values(), expected)) << row;
  }
}

TEST(Conv3d, LeadingZerosEqualFramesOfZeros) {
  for (const Case& c : cases()) {
    if (c.shape.kernel_t == 1) continue;
    const Problem problem = make_problem(c, true);
    Tensor padded = Tensor::zeros({c.x.t + 2, c.x.h, c.x.w, c.shape.in_channels});
    std::ranges::copy(problem.x.values(), padded.f32() + 2 * c.x.h * c.x.w * c.shape.in_channels);
    const Conv3d conv(c.shape, problem.weight, problem.bias);
    Context context;
    std::vector<const char*> rows = fast_rows(c.shape);
    rows.push_back("reference");
    for (const char* row : rows) {
      context.policy.forced_rows["conv3d"] = row;
      const Tensor expected = conv.run(padded, context);
      const Tensor actual = conv.run(problem.x, context, 2);
      ASSERT_EQ(actual.shape(), expected.shape()) << c.name;
      EXPECT_TRUE(std::ranges::equal(actual.values(), expected.values())) << c.name << " " << row;
    }
  }
}

TEST(Conv3d, HasTheSameBitsForAnyThreadCount) {
  const int threads_before = num_threads();
  for (const Case& c : cases()) {
    const Problem problem = make_problem(c, false);
    for (const char* row : fast_rows(c.shape)) {
      set_num_threads(1);
      const Tensor expected = run_row(c, problem, row);
      for (const int threads : {2, 7}) {
        set_num_threads(threads);
        const Tensor actual = run_row(c, problem, row);
        EXPECT_TRUE(std::ranges::equal(actual.values(), expected.values()))
            << c.name << " " << row << " with " << threads << " threads";
      }
    }
  }
  set_num_threads(threads_before);
}

// Every row after every other: a layout is made from whatever layout is there.
TEST(Conv3d, RowsOfOneConvolutionAgreeInAnyOrder) {
  const Case c = cases()[3];
  const Problem problem = make_problem(c, true);
  const Tensor expected = run_row(c, problem, "reference");
  for (const std::vector<const char*>& order :
       {std::vector<const char*>{"product", "reference", "onednn"},
        {"onednn", "product", "reference"},
        {"product", "onednn", "product"}}) {
    const Conv3d conv(c.shape, problem.weight, problem.bias);
    for (const char* row : order) {
      Context context;
      context.policy.forced_rows["conv3d"] = row;
      const Tensor actual = conv.run(problem.x, context);
      EXPECT_TRUE(std::ranges::equal(actual.values(), expected.values())) << order[0] << " " << row;
    }
  }
}

TEST(Conv3d, KeepsOneCopyOfTheWeightsOverManyExtents) {
  const Case c = cases()[3];
  const Problem problem = make_problem(c, false);
  Context context;
  const Conv3d conv(c.shape, problem.weight, problem.bias);
  for (int64_t t = 3; t < 7; ++t) {
    for (int64_t w = 1; w < 20; ++w) {
      const Tensor x = filled({t, 4, w, c.shape.in_channels}, 5, false);
      const Tensor y = conv.run(x, context);
      Context forced;
      forced.policy.forced_rows["conv3d"] = "reference";
      ASSERT_LE(test::relative_rms(y.values(), conv.run(x, forced).values()), 1e-6);
    }
  }
  EXPECT_LE(conv.bytes(), problem.weight.bytes() + problem.bias.bytes());
  EXPECT_EQ((context.choices()[{"conv3d", "product"}]), 4 * 19);
}

TEST(Conv3d, Reads16BitWeightsAnd2dWeights) {
  const Conv3dShape shape{.in_channels = 2, .out_channels = 1};
  const std::vector<uint16_t> bf16{0x3f80, 0x4000, 0x4040};  // 1, 2, 3
  const TensorView weight{.data = reinterpret_cast<const std::byte*>(bf16.data()),
                          .dtype = DType::kBF16,
                          .shape = {1, 2, 1, 1}};
  const TensorView bias{.data = reinterpret_cast<const std::byte*>(bf16.data() + 2),
                        .dtype = DType::kBF16,
                        .shape = {1}};
  Context context;
  const Conv3d conv(shape, weight, bias);
  const Tensor x = Tensor::from_values({1, 1, 2, 2}, std::vector<float>{1, 10, 100, 1000});
  EXPECT_TRUE(std::ranges::equal(conv.run(x, context).values(), std::vector<float>{24, 2103}));
}

TEST(Conv3d, RefusesBrokenContracts) {
  const Case c = cases()[0];
  const Problem problem = make_problem(c, true);
  Context context;
  const Conv3d conv(c.shape, problem.weight, problem.bias);
  const Tensor two_frames = Tensor::zeros({2, 4, 4, 3});
  EXPECT_EQ(test::expect_error([&] { conv.run(two_frames, context); }).code(), Code::kInternal);
  const Tensor four_channels = Tensor::zeros({3, 4, 4, 4});
  EXPECT_EQ(test::expect_error([&] { conv.run(four_channels, context); }).code(), Code::kInternal);
  EXPECT_EQ(test::expect_error([&] { Conv3d(c.shape, problem.bias, problem.bias); }).code(),
            Code::kInternal);
  context.policy.forced_rows["conv3d"] = "product";
  const Error unsuited = test::expect_error([&] { conv.run(problem.x, context); });
  EXPECT_EQ(unsuited.code(), Code::kInvalidArgument);
  EXPECT_NE(std::string(unsuited.what()).find("channels"), std::string::npos) << unsuited.what();
  context.policy.forced_rows["conv3d"] = "cuda";
  const Error error = test::expect_error([&] { conv.run(problem.x, context); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_NE(std::string(error.what()).find("cuda"), std::string::npos) << error.what();
}

}  // namespace
}  // namespace mxvideo::kernels
