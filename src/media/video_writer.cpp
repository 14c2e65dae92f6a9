#include "media/video_writer.h"

extern "C" {
#include <libavutil/rational.h>
}

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/parallel.h"
#include "media/frame_converter.h"
#include "media/image_writer.h"

namespace mxvideo::media {
namespace {

namespace fs = std::filesystem;

// A directory that is removed with its contents unless it was renamed into place.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(fs::path path)
      : path_(std::move(path)),
        temporary_(path_.string() + ".partial-" + std::to_string(::getpid())) {
    std::error_code error;
    fs::create_directory(temporary_, error);
    if (error) throw Error(Code::kIo, temporary_.string() + ": cannot create: " + error.message());
  }
  ~AtomicDirectory() {
    std::error_code ignored;
    if (!committed_) fs::remove_all(temporary_, ignored);
  }
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const fs::path& temporary_path() const { return temporary_; }

  void commit() {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      throw Error(Code::kIo,
                  path_.string() + ": cannot rename into place: " + std::strerror(errno));
    }
    committed_ = true;
    const fs::path parent = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
    const int fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    if (!synced) throw Error(Code::kIo, parent.string() + ": cannot sync");
  }

 private:
  fs::path path_;
  fs::path temporary_;
  bool committed_ = false;
};

}  // namespace

std::span<const uint8_t> RgbVideo::frame(int64_t index) const {
  const auto bytes = static_cast<size_t>(size.height * size.width * 3);
  return std::span(pixels).subspan(static_cast<size_t>(index) * bytes, bytes);
}

RgbVideo to_rgb_video(const Tensor& video) {
  check(video.shape().rank() == 4 && video.dim(3) == 3, "video is [frames, height, width, 3]");
  RgbVideo result{.frames = video.dim(0),
                  .size = {.height = video.dim(1), .width = video.dim(2)},
                  .pixels = std::vector<uint8_t>(static_cast<size_t>(video.count()))};
  const int64_t frame_values = video.dim(1) * video.dim(2) * 3;
  const float* values = video.f32();
  std::atomic<int64_t> bad_frame{-1};
  parallel_for(result.frames, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * frame_values; i < end * frame_values; ++i) {
      const float unit = std::clamp(values[i] * 0.5f + 0.5f, 0.0f, 1.0f);
      if (std::isnan(unit)) {
        bad_frame = i / frame_values;
        return;
      }
      result.pixels[static_cast<size_t>(i)] = static_cast<uint8_t>(unit * 255.0f);
    }
  });
  if (bad_frame >= 0) {
    throw Error(Code::kNumerics, "video: NaN in frame " + std::to_string(bad_frame));
  }
  return result;
}

void write_y4m(const RgbVideo& video, double fps,
               FunctionRef<void(std::span<const std::byte>)> write) {
  if (!(fps >= 1 && fps <= 240)) {
    throw Error(Code::kInvalidArgument,
                "frames per second: expected 1 to 240, got " + std::to_string(fps));
  }
  const auto write_text = [&](const std::string& text) { write(std::as_bytes(std::span(text))); };
  const AVRational rate = av_d2q(fps, 240 * 1001);
  write_text("YUV4MPEG2 W" + std::to_string(video.size.width) + " H" +
             std::to_string(video.size.height) + " F" + std::to_string(rate.num) + ":" +
             std::to_string(rate.den) + " Ip A1:1 C444 XCOLORRANGE=LIMITED\n");
  FrameConverter converter(video.size, AV_PIX_FMT_YUV444P);
  for (int64_t i = 0; i < video.frames; ++i) {
    const AVFrame* frame = converter.convert(video.frame(i));
    write_text("FRAME\n");
    for (int plane = 0; plane < 3; ++plane) {
      for (int y = 0; y < frame->height; ++y) {
        const uint8_t* row = frame->data[plane] + int64_t{y} * frame->linesize[plane];
        write(std::as_bytes(std::span(row, static_cast<size_t>(frame->width))));
      }
    }
  }
}

void write_y4m_file(const fs::path& path, const RgbVideo& video, double fps) {
  AtomicFile file(path);
  write_y4m(video, fps, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

void write_png_frames(const fs::path& directory, const RgbVideo& video) {
  const fs::path target = directory.has_filename() ? directory : directory.parent_path();
  std::error_code ignored;
  if (fs::symlink_status(target, ignored).type() != fs::file_type::not_found) {
    throw Error(Code::kInvalidArgument,
                target.string() + ": expected a new directory for the frames, exists already");
  }
  AtomicDirectory frames(target);
  for (int64_t i = 0; i < video.frames; ++i) {
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "%05lld.png", static_cast<long long>(i));
    AtomicFile file(frames.temporary_path() / name.data());
    file.write(encode_png(video.size, video.frame(i)));
    file.commit();
  }
  frames.commit();
}

}  // namespace mxvideo::media
