// Expected values: written by hand after prepare_latents() of diffusers' WanImageToVideoPipeline.
#include "pipeline/image_condition.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace mxvideo::pipeline {
namespace {

// first, first + 1, …
Tensor counting(const Shape& shape, float first) {
  std::vector<float> values(static_cast<size_t>(shape.count()));
  std::iota(values.begin(), values.end(), first);
  return Tensor::from_values(shape, values);
}

std::vector<float> values_of(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

TEST(ImageCondition, VideoIsTheImagesAndZerosBetween) {
  kernels::Context context;
  const Tensor first = counting({3, 1, 2}, 1), last = counting({3, 1, 2}, 11);
  const std::vector<float> both = {1, 3, 5, 2, 4, 6, 0, 0, 0, 0, 0, 0, 11, 13, 15, 12, 14, 16};
  const std::vector<float> begin = {1, 3, 5, 2, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const Tensor video = condition_video(first, &last, 3, context);
  EXPECT_EQ(video.shape(), (Shape{3, 1, 2, 3}));
  EXPECT_EQ(values_of(video), both);
  EXPECT_EQ(values_of(condition_video(first, nullptr, 3, context)), begin);
}

// Two latent frames for five of pixels. The mask of the reference is [5] ones at what is given, the
// first repeated four times, seen as [2, 4] and transposed.
TEST(ImageCondition, MaskSaysWhichFramesAreGiven) {
  kernels::Context context;
  const Tensor latents = counting({1, 2, 1, 1}, 50);
  EXPECT_EQ(values_of(i2v_condition(latents, {.frames = 5, .stride = 4}, context)),
            (std::vector<float>{1, 0, 1, 0, 1, 0, 1, 0, 50, 51}));
  const Tensor with_last =
      i2v_condition(latents, {.frames = 5, .stride = 4, .last_is_given = true}, context);
  EXPECT_EQ(with_last.shape(), (Shape{5, 2, 1, 1}));
  EXPECT_EQ(values_of(with_last), (std::vector<float>{1, 0, 1, 0, 1, 0, 1, 1, 50, 51}));
}

TEST(ImageCondition, FirstFrameIsReplacedInEachChannel) {
  kernels::Context context;
  Tensor latents = counting({2, 2, 1, 2}, 0);
  set_first_frame(latents, counting({2, 1, 1, 2}, 20), context);
  EXPECT_EQ(values_of(latents), (std::vector<float>{20, 21, 2, 3, 22, 23, 6, 7}));
}

}  // namespace
}  // namespace mxvideo::pipeline
