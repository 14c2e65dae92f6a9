#include "media/video_writer.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <gtest/gtest.h>
#include <png.h>
#include <sys/resource.h>

#include <array>
#include <cctype>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "base/file/atomic_file.h"
#include "media/frame_sink.h"
#include "media/image/image_reader.h"
#include "media/image/image_writer.h"
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
RgbVideo smooth_clip(int64_t frames, ImageSize size) {
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
  std::string pixel_format, codec;
  int color_matrix = 0, color_range = 0, color_transfer = 0;
};

void append_rgb(const AVFrame* frame, RgbVideo* video) {
  SwsContext* context = sws_getContext(
      frame->width, frame->height, static_cast<AVPixelFormat>(frame->format), frame->width,
      frame->height, AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND, nullptr, nullptr, nullptr);
  const int* matrix = sws_getCoefficients(frame->colorspace);
  const bool rgb_frame = frame->colorspace == AVCOL_SPC_RGB;
  if (!rgb_frame) sws_setColorspaceDetails(context, matrix, 0, matrix, 1, 0, 1 << 16, 1 << 16);
  std::vector<uint8_t> rgb(static_cast<size_t>(frame->width * frame->height * 3));
  uint8_t* output[] = {rgb.data()};
  const int stride[] = {frame->width * 3};
  sws_scale(context, frame->data, frame->linesize, 0, frame->height, output, stride);
  sws_freeContext(context);
  video->pixels.insert(video->pixels.end(), rgb.begin(), rgb.end());
  video->size = {.height = frame->height, .width = frame->width};
  ++video->frames;
}

void copy_metadata(const AVDictionary* from, std::map<std::string, std::string>* to) {
  const AVDictionaryEntry* tag = nullptr;
  while ((tag = av_dict_get(from, "", tag, AV_DICT_IGNORE_SUFFIX)) != nullptr) {
    (*to)[tag->key] = tag->value;
  }
}

void decode_frames(AVFormatContext* container, const std::function<void(const AVFrame*)>& each) {
  const AVCodecParameters* stream = container->streams[0]->codecpar;
  AVCodecContext* decoder = avcodec_alloc_context3(avcodec_find_decoder(stream->codec_id));
  avcodec_parameters_to_context(decoder, stream);
  EXPECT_EQ(avcodec_open2(decoder, nullptr, nullptr), 0);
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  const auto drain = [&] {
    while (avcodec_receive_frame(decoder, frame) == 0) each(frame);
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
  copy_metadata(container->metadata, &result.metadata);
  result.color_matrix = stream->codecpar->color_space;
  result.color_range = stream->codecpar->color_range;
  result.color_transfer = stream->codecpar->color_trc;
  result.codec = avcodec_get_name(stream->codecpar->codec_id);
  const char* format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(stream->codecpar->format));
  result.pixel_format = format == nullptr ? "" : format;
  decode_frames(container, [&](const AVFrame* frame) { append_rgb(frame, &result.video); });
  avformat_close_input(&container);
  return result;
}

// The texts of a PNG file, by libpng; the checksums of their chunks count.
std::map<std::string, std::string> png_texts(const fs::path& path) {
  std::map<std::string, std::string> result;
  FILE* file = std::fopen(path.c_str(), "rb");
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_read_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);  // ends the program on an error
  png_textp texts = nullptr;
  const int count = png_get_text(png, info, &texts, nullptr);
  for (int i = 0; i < count; ++i) result[texts[i].key] = texts[i].text;
  png_destroy_read_struct(&png, &info, nullptr);
  std::fclose(file);
  return result;
}

// How many different values the luma of the first frame takes, of a format of 10 bits.
size_t luma_values(const fs::path& path) {
  std::set<uint16_t> values;
  AVFormatContext* container = nullptr;
  EXPECT_EQ(avformat_open_input(&container, path.c_str(), nullptr, nullptr), 0);
  if (container == nullptr) return 0;
  EXPECT_GE(avformat_find_stream_info(container, nullptr), 0);
  decode_frames(container, [&](const AVFrame* frame) {
    for (int y = 0; y < frame->height; ++y) {
      const auto* row =
          reinterpret_cast<const uint16_t*>(frame->data[0] + int64_t{y} * frame->linesize[0]);
      values.insert(row, row + frame->width);
    }
  });
  avformat_close_input(&container);
  return values.size();
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
  write_video_file(path, clip,
                   {.fps = 23.976, .metadata = {{"title", "a cat"}, {"comment", recipe}}});
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
    write_video_file(directory_ / "one.mp4", clip, {.fps = 16, .encoding = {.crf = crf}});
    const DecodedVideo decoded = decode_video(directory_ / "one.mp4");
    EXPECT_EQ(decoded.video.frames, 1);
    return psnr(decoded.video.pixels, clip.pixels);
  };
  EXPECT_GT(quality(5), quality(45) + 6);
}

TEST_F(VideoWriter, SameClipSameBytes) {
  const RgbVideo clip = smooth_clip(9, {.height = 64, .width = 64});
  write_video_file(directory_ / "a.mp4", clip, {});
  write_video_file(directory_ / "b.mp4", clip, {});
  EXPECT_EQ(read_file(directory_ / "a.mp4", 1 << 24), read_file(directory_ / "b.mp4", 1 << 24));
}

TEST_F(VideoWriter, Y4mDecodesToTheClip) {
  const RgbVideo clip = smooth_clip(3, {.height = 33, .width = 47});
  write_y4m_file(directory_ / "clip.y4m", clip, 16);
  const DecodedVideo decoded = decode_video(directory_ / "clip.y4m");
  EXPECT_EQ(decoded.video.frames, 3);
  EXPECT_EQ(decoded.video.size, clip.size);
  EXPECT_EQ(decoded.fps, 16);
  // Y4M names no matrix, so the decoder above converts as FFmpeg does then, by BT.601.
  EXPECT_EQ(decoded.color_matrix, AVCOL_SPC_UNSPECIFIED);
  EXPECT_GT(psnr(decoded.video.pixels, clip.pixels), 45);
  RgbVideo flat{.frames = 1, .size = {.height = 2, .width = 2}, .pixels = {}};
  const std::string header = "YUV4MPEG2 W2 H2 F30:1 Ip A1:1 C444 XCOLORRANGE=LIMITED\nFRAME\n";
  // ITU-R BT.601: Y = 16 + 219 (0.299 R + 0.587 G + 0.114 B),
  // Cb = 128 + 224 (B - Y') / 1.772, Cr = 128 + 224 (R - Y') / 1.402.
  const std::vector<std::array<double, 3>> colors = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}};
  for (const auto& rgb : colors) {
    flat.pixels.clear();
    for (size_t i = 0; i < 12; ++i) flat.pixels.push_back(rgb[i % 3] > 0 ? 255 : 0);
    std::string stream;
    write_y4m(flat, 30, [&](std::span<const std::byte> bytes) {
      stream.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    ASSERT_TRUE(stream.starts_with(header)) << stream.substr(0, 80);
    const double luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
    const double expected[] = {16 + 219 * luma, 128 + 224 * (rgb[2] - luma) / 1.772,
                               128 + 224 * (rgb[0] - luma) / 1.402};
    for (size_t plane = 0; plane < 3; ++plane) {
      EXPECT_NEAR(static_cast<uint8_t>(stream[header.size() + plane * 4]), expected[plane], 1.01)
          << "plane " << plane;
    }
  }
}

TEST_F(VideoWriter, PngFramesAreExact) {
  const RgbVideo clip = smooth_clip(3, {.height = 7, .width = 5});
  write_png_frames(directory_ / "frames", clip, {{"title", "a cat"}, {"comment", "{猫}"}});
  EXPECT_EQ(entries_of(directory_), 1u);
  EXPECT_EQ(png_texts(directory_ / "frames" / "00000.png"),
            (std::map<std::string, std::string>{{"Title", "a cat"}, {"Comment", "{猫}"}}));
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
  const RgbImage image{.size = clip.size, .pixels = {first.begin(), first.end()}};
  struct Writer {
    std::string name;
    std::function<void(const fs::path&)> write;
  };
  const Writer writers[] = {
      {"x.mp4", [&](const fs::path& path) { write_video_file(path, clip, {}); }},
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
    return test::expect_error([&] { write_video_file(directory_ / "x.mp4", video, options); })
        .code();
  };
  const RgbVideo clip = smooth_clip(1, {.height = 16, .width = 16});
  EXPECT_EQ(code(smooth_clip(1, {.height = 16, .width = 15}), {}), Code::kInvalidArgument);
  EXPECT_EQ(code(smooth_clip(1, {.height = 17, .width = 16}), {}), Code::kInvalidArgument);
  EXPECT_EQ(code(smooth_clip(0, {.height = 16, .width = 16}), {}), Code::kInvalidArgument);
  EXPECT_EQ(code(clip, {.fps = 0}), Code::kInvalidArgument);
  EXPECT_EQ(code(clip, {.fps = std::nan("")}), Code::kInvalidArgument);
  EXPECT_EQ(code(clip, {.encoding = {.crf = 52}}), Code::kInvalidArgument);
  EXPECT_EQ(code(clip, {.encoding = {.preset = "warp"}}), Code::kInvalidArgument);
  EXPECT_EQ(entries_of(directory_), 0u);
}

// What a file of each codec and container says and holds, as FFmpeg's demuxers and decoders see it.
TEST_F(VideoWriter, EveryCodecInEachOfItsContainers) {
  struct Case {
    const char* file;
    Container container;
    EncodingChoice choice;
    const char *codec, *pixel_format;
    double psnr;
  };
  using enum Container;
  const Case cases[] = {
      {"a.mov", kMov, {}, "h264", "yuv420p", 36},
      {"b.mkv", kMkv, {}, "h264", "yuv420p", 36},
      {"c.webm", kWebm, {}, "vp9", "yuv420p", 33},
      {"d.mp4", kMp4, {.crf = 10, .pixel_format = "yuv420p10le"}, "h264", "yuv420p10le", 40},
      {"e.mp4",
       kMp4,
       {.crf = 10, .preset = "slow", .pixel_format = "yuv444p"},
       "h264",
       "yuv444p",
       40},
      {"f.mp4", kMp4, {.codec = "libx264rgb", .crf = 0}, "h264", "gbrp", 1000},
      {"g.mp4", kMp4, {.codec = "libx265", .crf = 15}, "hevc", "yuv420p", 36},
      {"h.mkv",
       kMkv,
       {.codec = "libx265", .pixel_format = "yuv420p10le"},
       "hevc",
       "yuv420p10le",
       33},
      {"i.mov", kMov, {.codec = "prores_ks"}, "prores", "yuv422p10le", 38},
      // FFmpeg decodes every 4444 to 12 bits.
      {"j.mkv",
       kMkv,
       {.codec = "prores_ks", .pixel_format = "yuv444p10le"},
       "prores",
       "yuv444p12le",
       40},
      {"k.mkv", kMkv, {.codec = "ffv1"}, "ffv1", "bgr0", 1000},
      {"l.webm", kWebm, {.crf = 20, .pixel_format = "yuv420p10le"}, "vp9", "yuv420p10le", 36}};
  const RgbVideo clip = smooth_clip(5, {.height = 48, .width = 80});
  const std::string recipe = "{\"prompt\": \"" + std::string(70'000, 'x') + " 猫\"}";
  for (const Case& c : cases) {
    const VideoOptions options{.fps = 24,
                               .container = c.container,
                               .encoding = c.choice,
                               .metadata = {{"title", "a cat"}, {"comment", recipe}}};
    write_video_file(directory_ / c.file, clip, options);
    const DecodedVideo decoded = decode_video(directory_ / c.file);
    EXPECT_EQ(decoded.codec, c.codec) << c.file;
    EXPECT_EQ(decoded.pixel_format, c.pixel_format) << c.file;
    EXPECT_EQ(decoded.video.frames, 5) << c.file;
    EXPECT_NEAR(decoded.fps, 24, 0.01) << c.file;
    const bool rgb = std::string_view(c.pixel_format).find("b") != std::string_view::npos;
    if (std::string_view(c.codec) != "ffv1") {
      EXPECT_EQ(decoded.color_matrix, rgb ? AVCOL_SPC_RGB : AVCOL_SPC_BT709) << c.file;
    }
    EXPECT_GT(psnr(decoded.video.pixels, clip.pixels), c.psnr) << c.file;
    std::map<std::string, std::string> lower;  // Matroska writes COMMENT
    for (const auto& [key, value] : decoded.metadata) {
      std::string name = key;
      for (char& letter : name) letter = static_cast<char>(std::tolower(letter));
      lower[name] = value;
    }
    EXPECT_EQ(lower["title"], "a cat") << c.file;
    EXPECT_EQ(lower["comment"], recipe) << c.file;
    const std::string bytes = read_file(directory_ / c.file, 1 << 24);
    write_video_file(directory_ / c.file, clip, options);
    EXPECT_EQ(read_file(directory_ / c.file, 1 << 24), bytes) << c.file << " changes";
  }
}

// A ramp that has steps in 8 bits has none in a file of 10: its luma takes more than 256 values.
TEST_F(VideoWriter, TenBitsComeFromTheVideoAndNotFromBytes) {
  constexpr int64_t kWidth = 1024;
  Tensor video = Tensor::zeros({1, 16, kWidth, 3});
  for (int64_t i = 0; i < 16 * kWidth; ++i) {
    for (int64_t c = 0; c < 3; ++c) {
      video.f32()[i * 3 + c] = 2 * static_cast<float>(i % kWidth) / (kWidth - 1) - 1;
    }
  }
  AtomicFile file(directory_ / "ramp.mkv");
  const VideoOptions options{.container = Container::kMkv,
                             .encoding = {.codec = "ffv1", .pixel_format = "yuv444p10le"}};
  const auto sink = open_video_file(file, {.height = 16, .width = kWidth}, options);
  FrameSink frames(*sink);
  frames.add({.values = video, .video = video.shape()});
  frames.finish();
  file.commit();
  EXPECT_GT(luma_values(directory_ / "ramp.mkv"), 800u);  // 64 to 940 in limited range
}

}  // namespace
}  // namespace mxvideo::media
