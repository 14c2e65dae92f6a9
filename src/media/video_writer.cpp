#include "media/video_writer.h"

#include <array>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "media/ffmpeg.h"
#include "media/frame_converter.h"
#include "media/image/image_writer.h"
#include "media/video_sink.h"

namespace mxvideo::media {
namespace {

namespace fs = std::filesystem;

class Y4mSink : public VideoSink {
 public:
  using Write = std::function<void(std::span<const std::byte>)>;

  Y4mSink(Write write, ImageSize size, double fps)
      : write_(std::move(write)), converter_(size, AV_PIX_FMT_YUV444P, ColorMatrix::kBt601) {
    const AVRational rate = ffmpeg::util().av_d2q(fps, 240 * 1001);
    header_ = "YUV4MPEG2 W" + std::to_string(size.width) + " H" + std::to_string(size.height) +
              " F" + std::to_string(rate.num) + ":" + std::to_string(rate.den) +
              " Ip A1:1 C444 XCOLORRANGE=LIMITED\n";
  }

  void add(std::span<const uint8_t> rgb) override {
    const AVFrame* frame = converter_.convert(rgb);
    write_text(std::exchange(header_, "") + "FRAME\n");
    for (int plane = 0; plane < 3; ++plane) {
      for (int y = 0; y < frame->height; ++y) {
        const uint8_t* row = frame->data[plane] + int64_t{y} * frame->linesize[plane];
        write_(std::as_bytes(std::span(row, static_cast<size_t>(frame->width))));
      }
    }
  }
  void finish() override {}

 private:
  void write_text(const std::string& text) { write_(std::as_bytes(std::span(text))); }

  Write write_;
  FrameConverter converter_;
  std::string header_;  // until it is written
};

class PngSink : public VideoSink {
 public:
  PngSink(AtomicDirectory& directory, ImageSize size, const Metadata& metadata)
      : directory_(directory), size_(size), metadata_(metadata) {}

  void add(std::span<const uint8_t> rgb) override {
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "%05lld.png", static_cast<long long>(frames_++));
    AtomicFile file(directory_.temporary_path() / name.data());
    file.write(encode_png(size_, rgb, metadata_));
    file.commit();
  }
  void finish() override {}

 private:
  AtomicDirectory& directory_;
  ImageSize size_;
  Metadata metadata_;
  int64_t frames_ = 0;
};

}  // namespace

std::span<const uint8_t> RgbVideo::frame(int64_t index) const {
  const auto bytes = static_cast<size_t>(size.height * size.width * 3);
  return std::span(pixels).subspan(static_cast<size_t>(index) * bytes, bytes);
}

void VideoSink::add_deep(std::span<const uint16_t>) {
  throw Error(Code::kInternal, "this file keeps 8 bits per sample");
}

void check_frames(const RgbVideo& video) {
  if (video.frames >= 1) return;
  throw Error(Code::kInvalidArgument, "video: expected at least one frame");
}

void RgbCollector::add(std::span<const uint8_t> rgb) {
  video_.pixels.insert(video_.pixels.end(), rgb.begin(), rgb.end());
  ++video_.frames;
}

void VideoSink::add_all(const RgbVideo& video) {
  for (int64_t i = 0; i < video.frames; ++i) add(video.frame(i));
  finish();
}

std::unique_ptr<VideoSink> open_y4m(std::function<void(std::span<const std::byte>)> write,
                                    ImageSize size, double fps) {
  if (!(fps >= 1 && fps <= 240)) {
    throw Error(Code::kInvalidArgument,
                "frames per second: expected 1 to 240, got " + std::to_string(fps));
  }
  return std::make_unique<Y4mSink>(std::move(write), size, fps);
}

std::unique_ptr<VideoSink> open_png_frames(AtomicDirectory& directory, ImageSize size,
                                           const Metadata& metadata) {
  return std::make_unique<PngSink>(directory, size, metadata);
}

void write_y4m(const RgbVideo& video, double fps,
               FunctionRef<void(std::span<const std::byte>)> write) {
  open_y4m(write, video.size, fps)->add_all(video);
}

void write_y4m_file(const fs::path& path, const RgbVideo& video, double fps) {
  AtomicFile file(path);
  write_y4m(video, fps, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

void write_png_frames(const fs::path& directory, const RgbVideo& video, const Metadata& metadata) {
  AtomicDirectory frames(directory.has_filename() ? directory : directory.parent_path());
  open_png_frames(frames, video.size, metadata)->add_all(video);
  frames.commit();
}

}  // namespace mxvideo::media
