#include "media/video_writer.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "media/image_reader.h"
#include "media/image_writer.h"
#include "support/test_support.h"

namespace mxvideo::media {
namespace {

namespace fs = std::filesystem;

void append_smooth_color(double u, double v, std::vector<uint8_t>* pixels) {
  for (const double value : {std::sin(3 * u), std::cos(3 * v), std::sin(2 * (u + v))}) {
    pixels->push_back(static_cast<uint8_t>(127.5 + 110 * value));
  }
}

// A smooth clip that moves; colours cover most of the cube.
RgbVideo smooth_clip(int64_t frames, pipeline::ImageSize size) {
  RgbVideo video{.frames = frames, .size = size, .pixels = {}};
  for (int64_t t = 0; t < frames; ++t) {
    for (int64_t y = 0; y < size.height; ++y) {
      for (int64_t x = 0; x < size.width; ++x) {
        const double u = static_cast<double>(x + t) / static_cast<double>(size.width);
        const double v = static_cast<double>(y) / static_cast<double>(size.height);
        append_smooth_color(u, v, &video.pixels);
      }
    }
  }
  return video;
}

struct DecodedVideo {
  RgbVideo video;
  double fps = 0;
  std::map<std::string, std::string> metadata;
  int color_matrix = 0, color_range = 0, color_transfer = 0;
};

void append_rgb(const AVFrame* frame, RgbVideo* video) {
  SwsContext* context = sws_getContext(
      frame->width, frame->height, static_cast<AVPixelFormat>(frame->format), frame->width,
      frame->height, AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND, nullptr, nullptr, nullptr);
  const int* matrix = sws_getCoefficients(frame->colorspace);
  sws_setColorspaceDetails(context, matrix, 0, matrix, 1, 0, 1 << 16, 1 << 16);
  std::vector<uint8_t> rgb(static_cast<size_t>(frame->width * frame->height * 3));
  uint8_t* output[] = {rgb.data()};
  const int stride[] = {frame->width * 3};
  sws_scale(context, frame->data, frame->linesize, 0, frame->height, output, stride);
  sws_freeContext(context);
  video->pixels.insert(video->pixels.end(), rgb.begin(), rgb.end());
  video->size = {.height = frame->height, .width = frame->width};
  ++video->frames;
}

// Reads any video file with FFmpeg; assertions fail where it cannot.
DecodedVideo decode_video(const fs::path& path) {
  DecodedVideo result;
  AVFormatContext* container = nullptr;
  EXPECT_EQ(avformat_open_input(&container, path.c_str(), nullptr, nullptr), 0);
  if (container == nullptr) return result;
  EXPECT_GE(avformat_find_stream_info(container, nullptr), 0);
  EXPECT_EQ(container->nb_streams, 1u);
  const AVStream* stream = container->streams[0];
  result.fps = av_q2d(stream->avg_frame_rate);
  const AVDictionaryEntry* tag = nullptr;
  while ((tag = av_dict_get(container->metadata, "", tag, AV_DICT_IGNORE_SUFFIX)) != nullptr) {
    result.metadata[tag->key] = tag->value;
  }
  result.color_matrix = stream->codecpar->color_space;
  result.color_range = stream->codecpar->color_range;
  result.color_transfer = stream->codecpar->color_trc;
  AVCodecContext* decoder =
      avcodec_alloc_context3(avcodec_find_decoder(stream->codecpar->codec_id));
  avcodec_parameters_to_context(decoder, stream->codecpar);
  EXPECT_EQ(avcodec_open2(decoder, nullptr, nullptr), 0);
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  const auto drain = [&] {
    while (avcodec_receive_frame(decoder, frame) == 0) append_rgb(frame, &result.video);
  };
  while (av_read_frame(container, packet) == 0) {
    avcodec_send_packet(decoder, packet);
    av_packet_unref(packet);
    drain();
  }
  avcodec_send_packet(decoder, nullptr);
  drain();
  av_frame_free(&frame);
  av_packet_free(&packet);
  avcodec_free_context(&decoder);
  avformat_close_input(&container);
  return result;
}

double psnr(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  if (a.size() != b.size()) return 0;
  double error = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    error += difference * difference;
  }
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / error);
}

// Names of the top-level boxes of an MP4 file, in order.
std::string box_order(const std::string& file) {
  std::string order;
  size_t offset = 0;
  while (offset + 8 <= file.size()) {
    uint32_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(file[offset + i]);
    order += file.substr(offset + 4, 4) + " ";
    if (length < 8) break;
    offset += length;
  }
  return order;
}

size_t entries_of(const fs::path& directory) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

// While alive, no file of this process can grow beyond `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

class VideoWriter : public testing::Test {
 protected:
  test::TemporaryDirectory temporary_;
  const fs::path& directory_ = temporary_.path();
};

TEST_F(VideoWriter, Mp4DecodesToTheClip) {
  const RgbVideo clip = smooth_clip(13, {.height = 48, .width = 80});
  const fs::path path = directory_ / "clip with space: 100%.mp4";
  const std::string recipe = "{\"prompt\": \"" + std::string(20'000, 'x') + " 猫\"}";
  write_mp4(path, clip, {.fps = 23.976, .metadata = {{"title", "a cat"}, {"comment", recipe}}});
  const DecodedVideo decoded = decode_video(path);
  EXPECT_EQ(decoded.video.frames, 13);
  EXPECT_EQ(decoded.video.size, clip.size);
  EXPECT_NEAR(decoded.fps, 23.976, 1e-3);
  EXPECT_EQ(decoded.metadata.at("title"), "a cat");
  EXPECT_EQ(decoded.metadata.at("comment"), recipe);
  EXPECT_EQ(decoded.color_matrix, AVCOL_SPC_BT709);
  EXPECT_EQ(decoded.color_range, AVCOL_RANGE_MPEG);
  EXPECT_EQ(decoded.color_transfer, AVCOL_TRC_IEC61966_2_1);
  EXPECT_GT(psnr(decoded.video.pixels, clip.pixels), 36);
  EXPECT_EQ(entries_of(directory_), 1u);
  const std::string order = box_order(read_file(path, 1 << 24));
  EXPECT_LT(order.find("moov"), order.find("mdat")) << order;
}

TEST_F(VideoWriter, OneFrameAndTheRateFactor) {
  const RgbVideo clip = smooth_clip(1, {.height = 32, .width = 32});
  const auto quality = [&](int crf) {
    write_mp4(directory_ / "one.mp4", clip, {.fps = 16, .crf = crf});
    const DecodedVideo decoded = decode_video(directory_ / "one.mp4");
    EXPECT_EQ(decoded.video.frames, 1);
    return psnr(decoded.video.pixels, clip.pixels);
  };
  EXPECT_GT(quality(5), quality(45) + 6);
}

TEST_F(VideoWriter, SameClipSameBytes) {
  const RgbVideo clip = smooth_clip(9, {.height = 64, .width = 64});
  write_mp4(directory_ / "a.mp4", clip, {});
  write_mp4(directory_ / "b.mp4", clip, {});
  EXPECT_EQ(read_file(directory_ / "a.mp4", 1 << 24), read_file(directory_ / "b.mp4", 1 << 24));
}

TEST_F(VideoWriter, Y4mDecodesToTheClip) {
  const RgbVideo clip = smooth_clip(3, {.height = 33, .width = 47});
  write_y4m_file(directory_ / "clip.y4m", clip, 16);
  const DecodedVideo decoded = decode_video(directory_ / "clip.y4m");
  EXPECT_EQ(decoded.video.frames, 3);
  EXPECT_EQ(decoded.video.size, clip.size);
  EXPECT_EQ(decoded.fps, 16);
  // Y4M carries no matrix, so the decoder above converts with BT.601: compare the luma of grey.
  RgbVideo grey{.frames = 1, .size = {.height = 2, .width = 2}, .pixels = {}};
  grey.pixels.assign(12, 128);
  std::string stream;
  write_y4m(grey, 30, [&](std::span<const std::byte> bytes) {
    stream.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  const std::string header = "YUV4MPEG2 W2 H2 F30:1 Ip A1:1 C444 XCOLORRANGE=LIMITED\nFRAME\n";
  EXPECT_EQ(stream, header + std::string(4, 126) + std::string(8, static_cast<char>(128)));
  // BT.709: pure red has luma 16 + 219 * 0.2126.
  for (size_t i = 0; i < 12; ++i) grey.pixels[i] = i % 3 == 0 ? 255 : 0;
  stream.clear();
  write_y4m(grey, 30, [&](std::span<const std::byte> bytes) {
    stream.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  EXPECT_NEAR(static_cast<uint8_t>(stream[header.size()]), 16 + 219 * 0.2126, 1);
}

TEST_F(VideoWriter, PngFramesAreExact) {
  const RgbVideo clip = smooth_clip(3, {.height = 7, .width = 5});
  write_png_frames(directory_ / "frames", clip);
  EXPECT_EQ(entries_of(directory_), 1u);
  EXPECT_EQ(entries_of(directory_ / "frames"), 3u);
  for (int64_t i = 0; i < 3; ++i) {
    const auto image =
        read_image(directory_ / "frames" / ("0000" + std::to_string(i) + ".png")).image;
    const auto frame = clip.frame(i);
    EXPECT_EQ(image.pixels, std::vector<uint8_t>(frame.begin(), frame.end()));
  }
  const Error again = test::expect_error([&] { write_png_frames(directory_ / "frames", clip); });
  EXPECT_EQ(again.code(), Code::kInvalidArgument);
}

TEST_F(VideoWriter, PngImageRoundTrip) {
  const RgbVideo clip = smooth_clip(1, {.height = 9, .width = 4});
  write_png(directory_ / "image.png", {.size = clip.size, .pixels = clip.pixels});
  EXPECT_EQ(read_image(directory_ / "image.png").image.pixels, clip.pixels);
}

TEST_F(VideoWriter, WriteErrorsAreErrorsAndLeaveNothing) {
  const RgbVideo clip = smooth_clip(20, {.height = 96, .width = 96});
  const auto first = clip.frame(0);
  const pipeline::RgbImage image{.size = clip.size, .pixels = {first.begin(), first.end()}};
  struct Writer {
    std::string name;
    std::function<void(const fs::path&)> write;
  };
  const Writer writers[] = {
      {"x.mp4", [&](const fs::path& path) { write_mp4(path, clip, {}); }},
      {"x.y4m", [&](const fs::path& path) { write_y4m_file(path, clip, 16); }},
      {"x.png", [&](const fs::path& path) { write_png(path, image); }},
      {"frames", [&](const fs::path& path) { write_png_frames(path, clip); }}};
  const auto expect_io_error = [](const Writer& writer, const fs::path& directory) {
    const Error error = test::expect_error([&] { writer.write(directory / writer.name); });
    EXPECT_EQ(error.code(), Code::kIo) << error.what();
    EXPECT_NE(std::string(error.what()).find(writer.name), std::string::npos) << error.what();
  };
  for (const Writer& writer : writers) {
    expect_io_error(writer, directory_ / "missing");
    const fs::path whole = directory_ / writer.name;
    writer.write(whole);
    const fs::path largest = fs::is_directory(whole) ? whole / "00000.png" : whole;
    const auto size = static_cast<rlim_t>(fs::file_size(largest));
    fs::remove_all(whole);
    // The last limit lets everything through but the last byte.
    for (rlim_t limit : {rlim_t{0}, size / 2, size - 1}) {
      const FileSizeLimit full_disk(limit);
      expect_io_error(writer, directory_);
      EXPECT_EQ(entries_of(directory_), 0u) << writer.name << " " << limit;
    }
  }
}

TEST_F(VideoWriter, RefusesWhatMp4CannotHold) {
  const auto code = [&](const RgbVideo& video, const VideoOptions& options) {
    return test::expect_error([&] { write_mp4(directory_ / "x.mp4", video, options); }).code();
  };
  const RgbVideo clip = smooth_clip(1, {.height = 16, .width = 16});
  EXPECT_EQ(code(smooth_clip(1, {.height = 16, .width = 15}), {}), Code::kInvalidArgument);
  EXPECT_EQ(code(smooth_clip(1, {.height = 17, .width = 16}), {}), Code::kInvalidArgument);
  EXPECT_EQ(code(smooth_clip(0, {.height = 16, .width = 16}), {}), Code::kInvalidArgument);
  EXPECT_EQ(code(clip, {.fps = 0}), Code::kInvalidArgument);
  EXPECT_EQ(code(clip, {.fps = std::nan("")}), Code::kInvalidArgument);
  EXPECT_EQ(code(clip, {.crf = 52}), Code::kInvalidArgument);
  EXPECT_EQ(code(clip, {.preset = "warp"}), Code::kInvalidArgument);
  EXPECT_EQ(entries_of(directory_), 0u);
}

// (v * 0.5 + 0.5) clamped, * 255, truncated: numbers from numpy in fp32.
TEST(RgbVideo, ConvertsAsDiffusersExports) {
  const std::vector<float> values = {-1,    -0.999f, -0.5f, 0,    0.003f, 0.5f,
                                     0.99f, 0.9999f, 1,     1.5f, -7,     0.2f};
  const Tensor video = Tensor::from_values({1, 2, 2, 3}, values);
  const RgbVideo rgb = to_rgb_video(video);
  EXPECT_EQ(rgb.pixels,
            (std::vector<uint8_t>{0, 0, 63, 127, 127, 191, 253, 254, 255, 255, 0, 153}));
  EXPECT_EQ(rgb.frames, 1);
  EXPECT_EQ(rgb.size, (pipeline::ImageSize{2, 2}));
}

TEST(RgbVideo, NanIsAnErrorThatNamesTheFrame) {
  Tensor video = Tensor::zeros({3, 1, 2, 3});
  video.f32()[13] = std::numeric_limits<float>::quiet_NaN();
  const Error error = test::expect_error([&] { to_rgb_video(video); });
  EXPECT_EQ(error.code(), Code::kNumerics);
  EXPECT_NE(std::string(error.what()).find("frame 2"), std::string::npos) << error.what();
}

}  // namespace
}  // namespace mxvideo::media
