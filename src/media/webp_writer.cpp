#include <webp/encode.h>
#include <webp/mux.h>

#include <cmath>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "media/video_writer.h"

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

void check_options(const RgbVideo& video, const WebpOptions& options) {
  const auto refuse = [](const std::string& message) {
    throw Error(Code::kInvalidArgument, message);
  };
  if (video.frames < 1) refuse("video: expected at least one frame");
  if (video.size.width > WEBP_MAX_DIMENSION || video.size.height > WEBP_MAX_DIMENSION) {
    refuse("WebP video: expected sides of at most " + std::to_string(WEBP_MAX_DIMENSION) +
           " pixels, got " + std::to_string(video.size.width) + "x" +
           std::to_string(video.size.height));
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

}  // namespace

std::vector<std::byte> encode_webp(const RgbVideo& video, const WebpOptions& options) {
  check_options(video, options);
  const Encoder encoder = make_encoder(video.size);
  const WebPConfig config = make_config(options);
  for (int64_t i = 0; i < video.frames; ++i) {
    Picture picture(video.size);
    require(WebPAnimEncoderAdd(encoder.get(), picture.import(video.frame(i)),
                               milliseconds(i, options.fps), &config) != 0,
            encoder.get());
  }
  require(WebPAnimEncoderAdd(encoder.get(), nullptr, milliseconds(video.frames, options.fps),
                             nullptr) != 0,
          encoder.get());
  WebPData data;
  WebPDataInit(&data);
  const bool done = WebPAnimEncoderAssemble(encoder.get(), &data) != 0;
  const std::unique_ptr<WebPData, decltype(&WebPDataClear)> owner(&data, &WebPDataClear);
  require(done, encoder.get());
  const auto* bytes = reinterpret_cast<const std::byte*>(data.bytes);
  return {bytes, bytes + data.size};
}

void write_webp(const std::filesystem::path& path, const RgbVideo& video,
                const WebpOptions& options) {
  const std::vector<std::byte> bytes = encode_webp(video, options);
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace mxvideo::media
