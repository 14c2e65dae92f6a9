#include <webp/encode.h>
#include <webp/mux.h>

#include <cmath>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "media/video_sink.h"

namespace mxvideo::media {
namespace {

struct Free {
  void operator()(WebPAnimEncoder* encoder) const { WebPAnimEncoderDelete(encoder); }
};
using Encoder = std::unique_ptr<WebPAnimEncoder, Free>;

// Owns the pixels that libwebp copies and converts.
class Picture {
 public:
  explicit Picture(pipeline::ImageSize size) {
    if (WebPPictureInit(&picture_) == 0) throw Error(Code::kInternal, "libwebp: other version");
    picture_.use_argb = 1;
    picture_.width = static_cast<int>(size.width);
    picture_.height = static_cast<int>(size.height);
  }
  ~Picture() { WebPPictureFree(&picture_); }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;

  WebPPicture* import(std::span<const uint8_t> rgb) {
    if (WebPPictureImportRGB(&picture_, rgb.data(), picture_.width * 3) == 0) {
      throw Error(Code::kOutOfMemory, "WebP: no memory for a frame");
    }
    return &picture_;
  }

 private:
  WebPPicture picture_{};
};

void check_options(pipeline::ImageSize size, const WebpOptions& options) {
  const auto refuse = [](const std::string& message) {
    throw Error(Code::kInvalidArgument, message);
  };
  if (size.width > WEBP_MAX_DIMENSION || size.height > WEBP_MAX_DIMENSION) {
    refuse("WebP video: expected sides of at most " + std::to_string(WEBP_MAX_DIMENSION) +
           " pixels, got " + std::to_string(size.width) + "x" + std::to_string(size.height));
  }
  if (!(options.fps >= 1 && options.fps <= 240)) {
    refuse("frames per second: expected 1 to 240, got " + std::to_string(options.fps));
  }
  if (!(options.quality >= 0 && options.quality <= 100)) {
    refuse("WebP quality: expected 0 to 100, got " + std::to_string(options.quality));
  }
}

Encoder make_encoder(pipeline::ImageSize size) {
  WebPAnimEncoderOptions options;
  if (WebPAnimEncoderOptionsInit(&options) == 0) {
    throw Error(Code::kInternal, "libwebpmux: other version");
  }
  options.anim_params.loop_count = 0;  // for ever
  Encoder encoder(
      WebPAnimEncoderNew(static_cast<int>(size.width), static_cast<int>(size.height), &options));
  if (encoder == nullptr) throw Error(Code::kOutOfMemory, "WebP: cannot start the encoder");
  return encoder;
}

WebPConfig make_config(const WebpOptions& options) {
  WebPConfig config;
  if (WebPConfigInit(&config) == 0) throw Error(Code::kInternal, "libwebp: other version");
  config.quality = static_cast<float>(options.quality);
  config.use_sharp_yuv = 1;  // chroma has half the resolution: keeps edges of saturated colours
  return config;
}

// WebP counts in whole milliseconds; rounding each time stamp keeps the sum right.
int milliseconds(int64_t frame, double fps) {
  return static_cast<int>(std::llround(static_cast<double>(frame) * 1000 / fps));
}

void require(bool done, WebPAnimEncoder* encoder) {
  if (done) return;
  throw Error(Code::kOutOfMemory,
              std::string("WebP: cannot encode the video: ") + WebPAnimEncoderGetError(encoder));
}

// Frames to the bytes of a file.
class Animation {
 public:
  Animation(pipeline::ImageSize size, const WebpOptions& options)
      : size_(size),
        options_(options),
        encoder_(make_encoder(size)),
        config_(make_config(options)) {}

  void add(std::span<const uint8_t> rgb) {
    Picture picture(size_);
    require(WebPAnimEncoderAdd(encoder_.get(), picture.import(rgb),
                               milliseconds(frames_++, options_.fps), &config_) != 0,
            encoder_.get());
  }

  std::vector<std::byte> finish() {
    require(WebPAnimEncoderAdd(encoder_.get(), nullptr, milliseconds(frames_, options_.fps),
                               nullptr) != 0,
            encoder_.get());
    WebPData data;
    WebPDataInit(&data);
    const bool done = WebPAnimEncoderAssemble(encoder_.get(), &data) != 0;
    const std::unique_ptr<WebPData, decltype(&WebPDataClear)> owner(&data, &WebPDataClear);
    require(done, encoder_.get());
    const auto* bytes = reinterpret_cast<const std::byte*>(data.bytes);
    return {bytes, bytes + data.size};
  }

 private:
  pipeline::ImageSize size_;
  WebpOptions options_;
  Encoder encoder_;
  WebPConfig config_;
  int64_t frames_ = 0;
};

class WebpSink : public VideoSink {
 public:
  WebpSink(AtomicFile& file, pipeline::ImageSize size, const WebpOptions& options)
      : file_(file), animation_(size, options) {}
  void add(std::span<const uint8_t> rgb) override { animation_.add(rgb); }
  void finish() override { file_.write(animation_.finish()); }

 private:
  AtomicFile& file_;
  Animation animation_;
};

}  // namespace

std::vector<std::byte> encode_webp(const RgbVideo& video, const WebpOptions& options) {
  check_frames(video);
  check_options(video.size, options);
  Animation animation(video.size, options);
  for (int64_t i = 0; i < video.frames; ++i) animation.add(video.frame(i));
  return animation.finish();
}

std::unique_ptr<VideoSink> open_webp(AtomicFile& file, pipeline::ImageSize size,
                                     const WebpOptions& options) {
  check_options(size, options);
  return std::make_unique<WebpSink>(file, size, options);
}

void write_webp(const std::filesystem::path& path, const RgbVideo& video,
                const WebpOptions& options) {
  check_frames(video);
  AtomicFile file(path);
  open_webp(file, video.size, options)->add_all(video);
  file.commit();
}

}  // namespace mxvideo::media
