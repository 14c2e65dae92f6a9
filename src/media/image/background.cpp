#include "media/image/background.h"

#include <span>

#include "base/error.h"
#include "base/text/hex.h"
#include "media/ffmpeg.h"
#include "media/frame_converter.h"

namespace mxvideo::media {

RgbColor parse_color(const std::string& text) {
  silence_ffmpeg();
  std::array<uint8_t, 4> rgba{};
  const bool known = ffmpeg::util().av_parse_color(rgba.data(), text.c_str(), -1, nullptr) >= 0;
  const std::string name = text.substr(0, text.find('@'));
  const bool random = ffmpeg::util().av_strcasecmp(name.c_str(), "random") == 0 ||
                      ffmpeg::util().av_strcasecmp(name.c_str(), "bikeshed") == 0;
  if (!known || random || rgba[3] != 255) {
    throw Error(Code::kInvalidArgument,
                "expected an opaque colour, by name as white or as #RRGGBB, got '" + text + "'");
  }
  return {rgba[0], rgba[1], rgba[2]};
}

std::string color_text(const RgbColor& color) { return "#" + to_hex(color); }

bool compose(std::vector<uint8_t>& samples, const RgbColor& background) {
  bool transparent = false;
  const size_t pixels = samples.size() / 4;
  const uint8_t* rgba = samples.data();
  uint8_t* rgb = samples.data();
  for (size_t i = 0; i < pixels; ++i, rgba += 4, rgb += 3) {
    const int alpha = rgba[3];
    transparent = transparent || alpha != 255;
    for (size_t c = 0; c < 3; ++c) {
      rgb[c] = static_cast<uint8_t>((rgba[c] * alpha + background[c] * (255 - alpha) + 127) / 255);
    }
  }
  samples.resize(pixels * 3);
  return transparent;
}

}  // namespace mxvideo::media
