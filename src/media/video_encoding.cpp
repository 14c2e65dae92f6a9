#include "media/video_encoding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "media/ffmpeg.h"

namespace mxvideo::media {
namespace {

using Names = std::vector<std::string_view>;

struct Codec {
  std::string_view name;
  std::vector<Container> containers;
  Names formats;  // the first is the default
  // Of the rate factor; none: the codec is lossless or has profiles instead.
  std::optional<double> default_crf;
  double highest_crf = 0;
  Names presets = {};
  std::string_view default_preset = {};
};

// What Debian's FFmpeg 5.1 encodes well. x264's defaults are SGLang's, those of x265 and VP9
// FFmpeg's, but for the preset.
const std::vector<Codec>& codecs() {
  using enum Container;
  static const Names kPresets = {"ultrafast", "superfast", "veryfast", "faster",   "fast",
                                 "medium",    "slow",      "slower",   "veryslow", "placebo"};
  static const Names kYuv = {"yuv420p",     "yuv422p",     "yuv444p",
                             "yuv420p10le", "yuv422p10le", "yuv444p10le"};
  static const std::vector<Codec> kCodecs = {
      {"libx264", {kMp4, kMov, kMkv}, kYuv, 25, 51, kPresets, "fast"},
      {"libx264rgb", {kMp4, kMov, kMkv}, {"rgb24"}, 25, 51, kPresets, "fast"},
      {"libx265", {kMp4, kMov, kMkv}, kYuv, 28, 51, kPresets, "fast"},
      {"libvpx-vp9", {kWebm, kMkv, kMp4}, kYuv, 31, 63},
      {"prores_ks", {kMov, kMkv}, {"yuv422p10le", "yuv444p10le"}, std::nullopt},
      {"ffv1",
       {kMkv},
       {"bgr0", "gbrp10le", "gbrp12le", "gbrp16le", "yuv420p", "yuv422p", "yuv444p", "yuv420p10le",
        "yuv422p10le", "yuv444p10le", "yuv444p16le"},
       std::nullopt}};
  return kCodecs;
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(Code::kInvalidArgument, message);
}

bool holds(Container container, const Codec& codec) {
  return std::ranges::find(codec.containers, container) != codec.containers.end();
}

const Codec& find_codec(Container container, const std::string& name) {
  Names known, fitting;
  for (const Codec& codec : codecs()) {
    known.push_back(codec.name);
    if (holds(container, codec)) fitting.push_back(codec.name);
  }
  const std::string_view wanted = name.empty() ? fitting.front() : std::string_view(name);
  const auto found = std::ranges::find(codecs(), wanted, &Codec::name);
  if (found == codecs().end()) {
    refuse(fmt::format("codec: expected {}, got '{}'", fmt::join(known, ", "), name));
  }
  if (holds(container, *found)) return *found;
  std::vector<std::string> endings;
  for (const Container other : found->containers) {
    endings.push_back(fmt::format(".{}", container_name(other)));
  }
  refuse(fmt::format("codec {} does not go into .{}, which takes {}; it goes into {}", name,
                     container_name(container), fmt::join(fitting, ", "),
                     fmt::join(endings, ", ")));
}

AVPixelFormat find_format(const Codec& codec, const std::string& name) {
  const std::string wanted = name.empty() ? std::string(codec.formats.front()) : name;
  if (std::ranges::find(codec.formats, wanted) == codec.formats.end()) {
    refuse(fmt::format("pixel format of {}: expected {}, got '{}'", codec.name,
                       fmt::join(codec.formats, ", "), name));
  }
  const AVPixelFormat format = ffmpeg::util().av_get_pix_fmt(wanted.c_str());
  check(format != AV_PIX_FMT_NONE, "FFmpeg knows the pixel formats of the table");
  return format;
}

std::optional<double> find_crf(const Codec& codec, std::optional<double> crf) {
  if (!crf) return codec.default_crf;
  if (!codec.default_crf) {
    refuse(fmt::format("codec {} has no crf: {}", codec.name,
                       codec.name == "ffv1"
                           ? "it is lossless"
                           : "its quality is that of the profile, by pixel format"));
  }
  if (*crf >= 0 && *crf <= codec.highest_crf) return crf;
  refuse(fmt::format("crf of {}: expected 0 to {}, got {}", codec.name, codec.highest_crf, *crf));
}

std::string find_preset(const Codec& codec, const std::string& preset) {
  if (preset.empty()) return std::string(codec.default_preset);
  if (codec.presets.empty()) refuse(fmt::format("codec {} has no presets", codec.name));
  if (std::ranges::find(codec.presets, preset) != codec.presets.end()) return preset;
  refuse(fmt::format("preset of {}: expected {}, got '{}'", codec.name,
                     fmt::join(codec.presets, ", "), preset));
}

}  // namespace

Encoding resolve_encoding(Container container, const EncodingChoice& choice, ImageSize size) {
  const Codec& codec = find_codec(container, choice.codec);
  Encoding result{.container = container, .codec = std::string(codec.name)};
  result.format = find_format(codec, choice.pixel_format);
  result.crf = find_crf(codec, choice.crf);
  result.preset = find_preset(codec, choice.preset);
  const AVPixFmtDescriptor* layout = ffmpeg::util().av_pix_fmt_desc_get(result.format);
  result.deep = layout->comp[0].depth > 8;
  result.rgb = (layout->flags & AV_PIX_FMT_FLAG_RGB) != 0;
  const int64_t across = int64_t{1} << layout->log2_chroma_w;
  const int64_t down = int64_t{1} << layout->log2_chroma_h;
  if (size.width % across != 0 || size.height % down != 0) {
    refuse(fmt::format("video of {}: expected an even width{}, got {}x{}",
                       pixel_format_name(result.format), down > 1 ? " and height" : "", size.width,
                       size.height));
  }
  return result;
}

std::string_view container_name(Container container) {
  switch (container) {
    case Container::kMp4:
      return "mp4";
    case Container::kMov:
      return "mov";
    case Container::kMkv:
      return "mkv";
    case Container::kWebm:
      return "webm";
  }
  return "";
}

std::string pixel_format_name(AVPixelFormat format) {
  return ffmpeg::util().av_get_pix_fmt_name(format);
}

}  // namespace mxvideo::media
