#include <libheif/heif.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/system/shared_library.h"
#include "media/ffmpeg.h"
#include "media/frame_converter.h"
#include "media/image/image_decoders.h"
#include "media/image/image_resize.h"

namespace mxvideo::media {
namespace {

struct Libheif {
  SharedLibrary library{MXVIDEO_HEIF_LIBRARY};
  MXVIDEO_FUNCTION(heif_context_alloc);
  MXVIDEO_FUNCTION(heif_context_free);
  MXVIDEO_FUNCTION(heif_context_get_number_of_top_level_images);
  MXVIDEO_FUNCTION(heif_context_get_primary_image_handle);
  MXVIDEO_FUNCTION(heif_context_read_from_memory_without_copy);
  MXVIDEO_FUNCTION(heif_context_set_maximum_image_size_limit);
  MXVIDEO_FUNCTION(heif_decode_image);
  MXVIDEO_FUNCTION(heif_decoding_options_alloc);
  MXVIDEO_FUNCTION(heif_decoding_options_free);
  MXVIDEO_FUNCTION(heif_image_get_height);
  MXVIDEO_FUNCTION(heif_image_get_plane_readonly);
  MXVIDEO_FUNCTION(heif_image_get_width);
  MXVIDEO_FUNCTION(heif_image_handle_get_height);
  MXVIDEO_FUNCTION(heif_image_handle_get_width);
  MXVIDEO_FUNCTION(heif_image_handle_has_alpha_channel);
  MXVIDEO_FUNCTION(heif_image_handle_is_premultiplied_alpha);
  MXVIDEO_FUNCTION(heif_image_handle_release);
  MXVIDEO_FUNCTION(heif_image_release);
};

const Libheif& libheif() {
  static const Libheif table;
  return table;
}

struct Free {
  void operator()(heif_context* context) const { libheif().heif_context_free(context); }
  void operator()(heif_image_handle* handle) const { libheif().heif_image_handle_release(handle); }
  void operator()(heif_image* image) const { libheif().heif_image_release(image); }
  void operator()(heif_decoding_options* options) const {
    libheif().heif_decoding_options_free(options);
  }
  void operator()(AVCodecContext* context) const {
    ffmpeg::codecs().avcodec_free_context(&context);
  }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

void require(const heif_error& error, const std::string& origin) {
  if (error.code == heif_error_Ok) return;
  const bool unsupported = error.code == heif_error_Unsupported_feature ||
                           error.code == heif_error_Unsupported_filetype ||
                           error.code == heif_error_Plugin_loading_error;
  throw Error(unsupported ? Code::kUnsupported : Code::kCorruptFile,
              origin + ": not a HEIC image that can be read: " + error.message);
}

// The size in a decoder configuration (ISO/IEC 14496-15, hvcC), by FFmpeg's parser; nothing where
// that cannot read it.
void check_coded_size(std::string_view hvcc, const std::string& origin) {
  const AVCodec* codec = ffmpeg::codecs().avcodec_find_decoder(AV_CODEC_ID_HEVC);
  const Owned<AVCodecContext> context(ffmpeg::codecs().avcodec_alloc_context3(codec));
  if (codec == nullptr || context == nullptr) return;
  context->extradata =
      static_cast<uint8_t*>(ffmpeg::util().av_mallocz(hvcc.size() + AV_INPUT_BUFFER_PADDING_SIZE));
  if (context->extradata == nullptr) throw Error(Code::kOutOfMemory, origin + ": no memory");
  std::memcpy(context->extradata, hvcc.data(), hvcc.size());
  context->extradata_size = static_cast<int>(hvcc.size());
  context->thread_count = 1;
  if (ffmpeg::codecs().avcodec_open2(context.get(), codec, nullptr) < 0 ||
      context->coded_width == 0)
    return;
  check_image_size(context->coded_width, context->coded_height, origin);
}

// libheif believes the size that the container states and then decodes what the stream has: each
// stream's own size is checked before.
void check_coded_sizes(std::span<const std::byte> bytes, const std::string& origin) {
  silence_ffmpeg();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view kBox = "hvcC";
  for (size_t at = text.find(kBox, 4); at != std::string_view::npos; at = text.find(kBox, at + 4)) {
    size_t length = 0;
    for (size_t i = 4; i > 0; --i) length = length << 8 | static_cast<uint8_t>(text[at - i]);
    constexpr size_t kHeader = 8;
    if (length <= kHeader || length - 4 > text.size() - at) continue;
    check_coded_size(text.substr(at + 4, length - kHeader), origin);
  }
}

// Colours that were multiplied by alpha, as they were before.
void unpremultiply(std::vector<uint8_t>& rgba) {
  for (size_t i = 0; i + 3 < rgba.size(); i += 4) {
    const int alpha = rgba[i + 3];
    if (alpha == 0 || alpha == 255) continue;
    for (size_t c = 0; c < 3; ++c) {
      rgba[i + c] = static_cast<uint8_t>(std::min(255, (rgba[i + c] * 255 + alpha / 2) / alpha));
    }
  }
}

}  // namespace

bool is_heic(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || text.substr(4, 4) != "ftyp") return false;
  const std::string_view brand = text.substr(8, 4);
  return brand == "heic" || brand == "heix" || brand == "heim" || brand == "heis" ||
         brand == "mif1";
}

DecodedImage decode_heic(std::span<const std::byte> bytes, const std::string& origin) {
  check_coded_sizes(bytes, origin);
  const Owned<heif_context> context(libheif().heif_context_alloc());
  const Owned<heif_decoding_options> options(libheif().heif_decoding_options_alloc());
  if (context == nullptr || options == nullptr) {
    throw Error(Code::kOutOfMemory, origin + ": cannot start libheif");
  }
  libheif().heif_context_set_maximum_image_size_limit(context.get(), kMaxImageSide);
  require(libheif().heif_context_read_from_memory_without_copy(context.get(), bytes.data(),
                                                               bytes.size(), nullptr),
          origin);
  heif_image_handle* primary = nullptr;
  require(libheif().heif_context_get_primary_image_handle(context.get(), &primary), origin);
  const Owned<heif_image_handle> handle(primary);
  const bool alpha = libheif().heif_image_handle_has_alpha_channel(primary) != 0;
  check_image_size(libheif().heif_image_handle_get_width(primary),
                   libheif().heif_image_handle_get_height(primary), origin);
  options->convert_hdr_to_8bit = 1;
  options->strict_decoding = 1;
  heif_image* decoded = nullptr;
  // Turned, mirrored and cropped by libheif as the file says.
  require(libheif().heif_decode_image(
              primary, &decoded, heif_colorspace_RGB,
              alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options.get()),
          origin);
  const Owned<heif_image> image(decoded);

  DecodedImage result;
  result.size = {.height = libheif().heif_image_get_height(decoded, heif_channel_interleaved),
                 .width = libheif().heif_image_get_width(decoded, heif_channel_interleaved)};
  check_image_size(result.size.width, result.size.height, origin);
  result.channels = alpha ? 4 : 3;
  int stride = 0;
  const uint8_t* plane =
      libheif().heif_image_get_plane_readonly(decoded, heif_channel_interleaved, &stride);
  const auto row = static_cast<size_t>(result.size.width * result.channels);
  result.samples.resize(row * static_cast<size_t>(result.size.height));
  for (int64_t y = 0; y < result.size.height; ++y) {
    std::memcpy(result.samples.data() + static_cast<size_t>(y) * row, plane + y * stride, row);
  }
  if (alpha && libheif().heif_image_handle_is_premultiplied_alpha(primary) != 0) {
    unpremultiply(result.samples);
  }
  const int images = libheif().heif_context_get_number_of_top_level_images(context.get());
  if (images > 1) {
    result.notices.push_back(": holds " + std::to_string(images) +
                             " images; the primary one is taken");
  }
  return result;
}

}  // namespace mxvideo::media
