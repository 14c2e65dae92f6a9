#include "media/video_encoding.h"

#include <gtest/gtest.h>

#include <string>

#include "support/test_support.h"

namespace mxvideo::media {
namespace {

TEST(VideoEncoding, RefusesWhatDoesNotGoTogetherAndSaysWhatDoes) {
  struct Case {
    Container container;
    EncodingChoice choice;
    const char* said;
  };
  using enum Container;
  const Case cases[] = {
      {kMp4, {.codec = "h264"}, "codec: expected libx264, "},
      {kMp4, {.codec = "ffv1"}, "ffv1 does not go into .mp4, which takes libx264, "},
      {kWebm, {.codec = "libx264"}, "it goes into .mp4, .mov, .mkv"},
      {kMkv, {.codec = "ffv1", .crf = 20}, "ffv1 has no crf: it is lossless"},
      {kMov, {.codec = "prores_ks", .crf = 20}, "prores_ks has no crf"},
      {kMov, {.codec = "prores_ks", .preset = "slow"}, "prores_ks has no presets"},
      {kWebm, {.crf = 64}, "crf of libvpx-vp9: expected 0 to 63, got 64"},
      {kMp4, {.pixel_format = "rgb24"}, "pixel format of libx264: expected yuv420p, "},
      {kMp4, {.preset = "warp"}, "preset of libx264: expected ultrafast, "}};
  for (const Case& c : cases) {
    const Error error = test::expect_error([&] {
      resolve_encoding(c.container, c.choice, {16, 16});
    });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << c.said;
    EXPECT_NE(std::string(error.what()).find(c.said), std::string::npos) << error.what();
  }
  EXPECT_EQ(resolve_encoding(kMp4, {.pixel_format = "yuv444p"}, {15, 17}).format,
            AV_PIX_FMT_YUV444P);
}

}  // namespace
}  // namespace mxvideo::media
