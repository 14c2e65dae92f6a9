// Animated WebP, decoded by libwebp's own animation decoder.
#include <gtest/gtest.h>
#include <webp/demux.h>

#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "base/file/atomic_file.h"
#include "media/video_writer.h"
#include "support/test_support.h"

namespace mxvideo::media {
namespace {

namespace fs = std::filesystem;

// A blue square that moves over a shaded ground, 4 pixels a frame.
RgbVideo moving_square(int64_t frames, ImageSize size) {
  RgbVideo video{.frames = frames, .size = size, .pixels = {}};
  for (int64_t t = 0; t < frames; ++t) {
    for (int64_t y = 0; y < size.height; ++y) {
      for (int64_t x = 0; x < size.width; ++x) {
        const bool square = x >= 4 * t && x < 4 * t + 16 && y >= 8 && y < 24;
        const auto shade = static_cast<uint8_t>(120 + x + y);
        const std::vector<uint8_t> rgb = {square ? uint8_t{40} : shade,
                                          square ? uint8_t{80} : shade,
                                          square ? uint8_t{220} : shade};
        video.pixels.insert(video.pixels.end(), rgb.begin(), rgb.end());
      }
    }
  }
  return video;
}

struct Animation {
  WebPAnimInfo info{};
  std::vector<int> end_times;  // milliseconds, of each frame
  RgbVideo video;
};

Animation decode(const std::vector<std::byte>& bytes) {
  Animation result;
  const WebPData data{.bytes = reinterpret_cast<const uint8_t*>(bytes.data()),
                      .size = bytes.size()};
  WebPAnimDecoder* decoder = WebPAnimDecoderNew(&data, nullptr);
  EXPECT_NE(decoder, nullptr);
  if (decoder == nullptr) return result;
  WebPAnimDecoderGetInfo(decoder, &result.info);
  result.video.size = {.height = result.info.canvas_height, .width = result.info.canvas_width};
  while (WebPAnimDecoderHasMoreFrames(decoder) != 0) {
    uint8_t* rgba = nullptr;
    int end_time = 0;
    EXPECT_NE(WebPAnimDecoderGetNext(decoder, &rgba, &end_time), 0);
    result.end_times.push_back(end_time);
    ++result.video.frames;
    for (int64_t i = 0; i < result.video.size.height * result.video.size.width; ++i) {
      result.video.pixels.insert(result.video.pixels.end(), rgba + i * 4, rgba + i * 4 + 3);
    }
  }
  WebPAnimDecoderDelete(decoder);
  return result;
}

// Mean absolute difference in levels.
double difference(const RgbVideo& a, const RgbVideo& b) {
  if (a.pixels.size() != b.pixels.size()) return std::numeric_limits<double>::infinity();
  int64_t sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return static_cast<double>(sum) / static_cast<double>(a.pixels.size());
}

TEST(WebpWriter, KeepsFramesTimesAndPixels) {
  const RgbVideo video = moving_square(5, {.height = 32, .width = 48});
  const Animation read = decode(encode_webp(video, {.fps = 24}));
  EXPECT_EQ(read.info.canvas_width, 48u);
  EXPECT_EQ(read.info.canvas_height, 32u);
  EXPECT_EQ(read.info.loop_count, 0u) << "must repeat for ever";
  // Frame i of 24 a second ends at (i + 1) * 41.67 ms.
  EXPECT_EQ(read.end_times, (std::vector<int>{42, 83, 125, 167, 208}));
  // Far nearer to these frames than they are to the next ones.
  RgbVideo next = moving_square(6, {.height = 32, .width = 48});
  next.pixels.erase(next.pixels.begin(), next.pixels.begin() + std::ptrdiff_t{32} * 48 * 3);
  EXPECT_LT(difference(read.video, video), difference(next, video) / 3);
}

TEST(WebpWriter, CarriesTheRecipeAsXmpAndTheSameFrames) {
  const RgbVideo video = moving_square(3, {.height = 32, .width = 48});
  const auto plain = encode_webp(video, {});
  const auto told =
      encode_webp(video, {.metadata = {{"title", "a <cat>"}, {"comment", "{\"a\": 1}"}}});
  EXPECT_EQ(decode(told).video.pixels, decode(plain).video.pixels);
  const WebPData data{.bytes = reinterpret_cast<const uint8_t*>(told.data()), .size = told.size()};
  WebPDemuxer* demuxer = WebPDemux(&data);
  WebPChunkIterator chunk;
  ASSERT_NE(WebPDemuxGetChunk(demuxer, "XMP ", 1, &chunk), 0);
  const std::string xmp(reinterpret_cast<const char*>(chunk.chunk.bytes), chunk.chunk.size);
  EXPECT_NE(xmp.find("<dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">a &lt;cat&gt;</rdf:li>"),
            std::string::npos)
      << xmp;
  EXPECT_NE(xmp.find("{\"a\": 1}</rdf:li></rdf:Alt></dc:description>"), std::string::npos) << xmp;
  WebPDemuxReleaseChunkIterator(&chunk);
  WebPDemuxDelete(demuxer);
}

TEST(WebpWriter, QualityIsPixelsForBytes) {
  const RgbVideo video = moving_square(5, {.height = 32, .width = 48});
  const std::vector<std::byte> low = encode_webp(video, {.quality = 5});
  const std::vector<std::byte> high = encode_webp(video, {.quality = 95});
  EXPECT_LT(low.size(), high.size());
  EXPECT_GT(difference(decode(low).video, video), difference(decode(high).video, video));
}

TEST(WebpWriter, AFrameThatEqualsTheOneBeforeLastsLonger) {
  RgbVideo video = moving_square(2, {.height = 32, .width = 32});
  const auto first = std::vector<uint8_t>(video.frame(0).begin(), video.frame(0).end());
  video.pixels.insert(video.pixels.begin(), first.begin(), first.end());
  ++video.frames;
  EXPECT_EQ(decode(encode_webp(video, {.fps = 10})).end_times, (std::vector<int>{200, 300}));
}

TEST(WebpWriter, WritesTheWholeFileOrNone) {
  const test::TemporaryDirectory directory;
  const RgbVideo video = moving_square(2, {.height = 16, .width = 31});
  const fs::path path = directory.path() / "clip.webp";
  write_webp(path, video, {.fps = 16});
  const std::string text = read_file(path, 1u << 20);
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  EXPECT_EQ(decode({bytes, bytes + text.size()}).end_times, (std::vector<int>{63, 125}));

  EXPECT_EQ(test::expect_error([&] {
              write_webp(directory.path() / "none" / "clip.webp", video, {});
            }).code(),
            Code::kIo);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST(WebpWriter, RefusesWhatItCannotEncode) {
  const RgbVideo video = moving_square(1, {.height = 8, .width = 8});
  const RgbVideo wide{
      .frames = 1, .size = {.height = 1, .width = 16384}, .pixels = std::vector<uint8_t>(49152)};
  const auto code = [](const RgbVideo& frames, const WebpOptions& options) {
    return test::expect_error([&] { encode_webp(frames, options); }).code();
  };
  EXPECT_EQ(code(wide, {}), Code::kInvalidArgument);
  EXPECT_EQ(code({}, {}), Code::kInvalidArgument);
  EXPECT_EQ(code(video, {.fps = 0}), Code::kInvalidArgument);
  EXPECT_EQ(code(video, {.fps = std::numeric_limits<double>::quiet_NaN()}), Code::kInvalidArgument);
  EXPECT_EQ(code(video, {.quality = 101}), Code::kInvalidArgument);
}

}  // namespace
}  // namespace mxvideo::media
