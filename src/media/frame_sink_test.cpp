#include "media/frame_sink.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "support/test_support.h"

namespace mxvideo::media {
namespace {

RgbVideo collect(const std::vector<FramePart>& parts) {
  const Shape& video = parts.front().video;
  RgbCollector collector({.height = video[1], .width = video[2]});
  FrameSink sink(collector);
  for (const FramePart& part : parts) sink.add(part);
  sink.finish();
  return collector.take();
}

// (v * 0.5 + 0.5) clamped, * 255, truncated: numbers from numpy in fp32.
TEST(FrameSink, ConvertsAsDiffusersExports) {
  const std::vector<float> values = {-1,    -0.999f, -0.5f, 0,    0.003f, 0.5f,
                                     0.99f, 0.9999f, 1,     1.5f, -7,     0.2f};
  const Tensor video = Tensor::from_values({1, 2, 2, 3}, values);
  const RgbVideo rgb = collect({{.values = video, .video = video.shape()}});
  EXPECT_EQ(rgb.pixels,
            (std::vector<uint8_t>{0, 0, 63, 127, 127, 191, 253, 254, 255, 255, 0, 153}));
  EXPECT_EQ(rgb.frames, 1);
  EXPECT_EQ(rgb.size, (ImageSize{2, 2}));
}

TEST(FrameSink, NanIsAnErrorThatNamesTheFrame) {
  Tensor video = Tensor::zeros({3, 1, 2, 3});
  video.f32()[13] = std::numeric_limits<float>::quiet_NaN();
  const Error error =
      test::expect_error([&] { collect({{.values = video, .video = video.shape()}}); });
  EXPECT_EQ(error.code(), Code::kNumerics);
  EXPECT_NE(std::string(error.what()).find("frame 2"), std::string::npos) << error.what();
}

// Counts what has arrived.
class CountingSink : public VideoSink {
 public:
  void add(std::span<const uint8_t>) override { ++frames; }
  void finish() override {}
  int64_t frames = 0;
};

TEST(FrameSink, FramesLeaveWhenTheirLastWindowIsThere) {
  const Tensor half = Tensor::zeros({2, 1, 3, 3});
  CountingSink video;
  FrameSink sink(video);
  const auto add = [&](int64_t first_frame, int64_t top) {
    sink.add({.values = half, .video = {4, 2, 3, 3}, .first_frame = first_frame, .top = top});
    return video.frames;
  };
  EXPECT_EQ(add(0, 0), 0);
  EXPECT_EQ(add(2, 0), 0);
  EXPECT_EQ(add(2, 1), 0) << "frames leave in their order";
  EXPECT_EQ(test::expect_error([&] { sink.finish(); }).code(), Code::kInternal);
  EXPECT_EQ(add(0, 1), 4);
  sink.finish();
}

TEST(FrameSink, WindowsGiveTheBytesOfWholeFrames) {
  const Shape shape{2, 3, 4, 3};
  std::vector<float> values;
  for (int64_t i = 0; i < shape.count(); ++i) {
    values.push_back(static_cast<float>(i % 37) / 18 - 1);
  }
  const Tensor video = Tensor::from_values(shape, values);
  const auto window = [&](int64_t top, int64_t left, int64_t height, int64_t width) {
    std::vector<float> part;
    for (int64_t i = 0; i < shape.count(); ++i) {
      const int64_t row = i / 12 % 3 - top, column = i / 3 % 4 - left;
      if (row >= 0 && row < height && column >= 0 && column < width) {
        part.push_back(values[static_cast<size_t>(i)]);
      }
    }
    return Tensor::from_values({2, height, width, 3}, part);
  };
  const Tensor left = window(0, 0, 3, 1), above = window(0, 1, 2, 3), below = window(2, 1, 1, 3);
  const RgbVideo tiled = collect({{.values = left, .video = shape},
                                  {.values = below, .video = shape, .top = 2, .left = 1},
                                  {.values = above, .video = shape, .left = 1}});
  EXPECT_EQ(tiled.pixels, collect({{.values = video, .video = shape}}).pixels);
}

}  // namespace
}  // namespace mxvideo::media
