// Where the frames of one video go, one after the other: into a file that is already open, so that
// what can be refused is refused before there are frames.
//
// Opening makes the encoder with its threads; its errors are those of the writers in
// media/video_writer.h. One thread at a time per object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/file/atomic_file.h"
#include "media/video_writer.h"

namespace mxvideo::media {

class VideoSink {
 public:
  VideoSink() = default;
  virtual ~VideoSink() = default;
  VideoSink(const VideoSink&) = delete;
  VideoSink& operator=(const VideoSink&) = delete;

  // The next frame, RGB bytes [height, width, 3]. Throws Code::kIo, Code::kOutOfMemory.
  virtual void add(std::span<const uint8_t> rgb) = 0;
  // Whether frames come with 16 bits per sample instead, because the file keeps more than 8.
  virtual bool deep() const { return false; }
  virtual void add_deep(std::span<const uint16_t> rgb);
  // After the last frame: writes what the encoder holds. The file is the caller's to commit.
  virtual void finish() = 0;
  // A line for the user where the file will not be the usual one; empty: it will.
  virtual std::string notice() const { return ""; }

  // Every frame, then finish().
  void add_all(const RgbVideo& video);
};

// Keeps the frames in memory.
class RgbCollector : public VideoSink {
 public:
  explicit RgbCollector(ImageSize size) { video_.size = size; }
  void add(std::span<const uint8_t> rgb) override;
  void finish() override {}
  RgbVideo take() { return std::move(video_); }

 private:
  RgbVideo video_;
};

// Each file must outlive its sink.
std::unique_ptr<VideoSink> open_video_file(AtomicFile& file, ImageSize size,
                                           const VideoOptions& options);
std::unique_ptr<VideoSink> open_webp(AtomicFile& file, ImageSize size, const WebpOptions& options);
// `write` receives consecutive pieces and throws to stop.
std::unique_ptr<VideoSink> open_y4m(std::function<void(std::span<const std::byte>)> write,
                                    ImageSize size, double fps);
std::unique_ptr<VideoSink> open_png_frames(AtomicDirectory& directory, ImageSize size,
                                           const Metadata& metadata = {});

}  // namespace mxvideo::media
