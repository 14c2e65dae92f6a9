#include "media/image/image_resize.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/parallel.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::media {
namespace {

RgbImage golden_image(const test::GoldenFile& golden, const std::string& name) {
  const auto shape = golden.shape(name);
  return {.size = {.height = shape[0], .width = shape[1]}, .pixels = golden.u8(name)};
}

TEST(ImageResize, HasPillowsBytes) {
  const test::GoldenFile golden("image/resize.safetensors");
  int compared = 0;
  for (const std::string& name : golden.names()) {
    const size_t dot = name.find('.');
    const std::string kind = name.substr(dot + 1);
    if (kind == "input") continue;
    const RgbImage input = golden_image(golden, name.substr(0, dot) + ".input");
    const RgbImage expected = golden_image(golden, name);
    const auto filter = kind == "lanczos" ? ResampleFilter::kLanczos : ResampleFilter::kBicubic;
    for (int threads : {1, 2, 7}) {
      set_num_threads(threads);
      EXPECT_TRUE(resize(input, expected.size, filter).pixels == expected.pixels) << name;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 22);
}

TEST(ImageResize, RefusesSidesOutsideTheLimits) {
  const RgbImage pixel{.size = {.height = 1, .width = 1}, .pixels = {1, 2, 3}};
  for (const ImageSize size :
       {ImageSize{0, 4}, ImageSize{4, -1}, ImageSize{kMaxImageSide + 1, 1}}) {
    const Error error = test::expect_error([&] { resize(pixel, size, ResampleFilter::kLanczos); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
  }
}

TEST(ImageResize, AnImageWithoutItsPixelsIsABrokenContract) {
  const RgbImage broken{.size = {.height = 2, .width = 2}, .pixels = {1, 2, 3}};
  const Error error = test::expect_error([&] { resize(broken, {4, 4}, ResampleFilter::kBicubic); });
  EXPECT_EQ(error.code(), Code::kInternal);
}

}  // namespace
}  // namespace mxvideo::media
