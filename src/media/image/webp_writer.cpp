#include <webp/encode.h>
#include <webp/mux.h>

#include <array>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
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
  explicit Picture(ImageSize size) {
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

void check_options(ImageSize size, const WebpOptions& options) {
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

Encoder make_encoder(ImageSize size) {
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

std::string escape_xml(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
      result += c;  // XML has no other control characters
    }
  }
  return result;
}

// XMP (ISO 16684-1): Dublin Core's title and description.
std::string xmp_packet(const Metadata& metadata) {
  constexpr std::array<std::pair<const char*, const char*>, 2> kProperties = {
      {{"title", "dc:title"}, {"comment", "dc:description"}}};
  std::string packet =
      "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">"
      "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
      "<rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">";
  for (const auto& [key, property] : kProperties) {
    const auto found = metadata.find(key);
    if (found == metadata.end()) continue;
    packet += std::string("<") + property + "><rdf:Alt><rdf:li xml:lang=\"x-default\">" +
              escape_xml(found->second) + "</rdf:li></rdf:Alt></" + property + ">";
  }
  return packet + "</rdf:Description></rdf:RDF></x:xmpmeta>";
}

std::vector<std::byte> with_metadata(const WebPData& file, const Metadata& metadata) {
  const auto bytes_of = [](const WebPData& data) {
    const auto* bytes = reinterpret_cast<const std::byte*>(data.bytes);
    return std::vector<std::byte>(bytes, bytes + data.size);
  };
  if (metadata.empty()) return bytes_of(file);
  const std::unique_ptr<WebPMux, decltype(&WebPMuxDelete)> mux(WebPMuxCreate(&file, 0),
                                                               &WebPMuxDelete);
  const std::string packet = xmp_packet(metadata);
  const WebPData chunk{.bytes = reinterpret_cast<const uint8_t*>(packet.data()),
                       .size = packet.size()};
  WebPData result;
  WebPDataInit(&result);
  const bool done = mux != nullptr &&
                    WebPMuxSetChunk(mux.get(), "XMP ", &chunk, 1) == WEBP_MUX_OK &&
                    WebPMuxAssemble(mux.get(), &result) == WEBP_MUX_OK;
  const std::unique_ptr<WebPData, decltype(&WebPDataClear)> owner(&result, &WebPDataClear);
  if (!done) throw Error(Code::kOutOfMemory, "WebP: cannot add the metadata");
  return bytes_of(result);
}

// Frames to the bytes of a file.
class Animation {
 public:
  Animation(ImageSize size, const WebpOptions& options)
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
    return with_metadata(data, options_.metadata);
  }

 private:
  ImageSize size_;
  WebpOptions options_;
  Encoder encoder_;
  WebPConfig config_;
  int64_t frames_ = 0;
};

class WebpSink : public VideoSink {
 public:
  WebpSink(AtomicFile& file, ImageSize size, const WebpOptions& options)
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

std::unique_ptr<VideoSink> open_webp(AtomicFile& file, ImageSize size, const WebpOptions& options) {
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
