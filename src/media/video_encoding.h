// Which codec, container, pixel format and quality a video file gets, by FFmpeg's own names,
// decided and checked before there are frames. Pure functions.
#pragma once

extern "C" {
#include <libavutil/pixfmt.h>
}

#include <optional>
#include <string>
#include <string_view>

#include "media/rgb_image.h"

namespace mxvideo::media {

enum class Container : uint8_t { kMp4, kMov, kMkv, kWebm };

// What a user may ask for; empty: the first that the container or the codec has in the table of
// video_encoding.cpp.
struct EncodingChoice {
  std::string codec = {};          // "libx264", "libx264rgb", "libx265", "ffv1", "prores_ks", …
  std::optional<double> crf = {};  // constant rate factor: lower is better and larger
  std::string preset = {};
  std::string pixel_format = {};  // "yuv420p", "yuv420p10le", …
  bool operator==(const EncodingChoice&) const = default;
};

// Every value decided.
struct Encoding {
  Container container = Container::kMp4;
  std::string codec;
  std::optional<double> crf = {};  // of codecs that have one
  std::string preset = {};         // likewise
  AVPixelFormat format = AV_PIX_FMT_NONE;
  bool deep = false;  // more than 8 bits per sample: frames come with 16
  bool rgb = false;
};

// Throws Code::kInvalidArgument for names that are not in the table, values out of range, what does
// not go together, and sides that a subsampled format cannot halve.
Encoding resolve_encoding(Container container, const EncodingChoice& choice, ImageSize size);

std::string_view container_name(Container container);  // "mp4", …
std::string pixel_format_name(AVPixelFormat format);

}  // namespace mxvideo::media
