#include "evaluation/evaluation_test_support.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "media/image/image_reader.h"
#include "support/golden_file.h"

namespace mxvideo::evaluation {
namespace {

using nlohmann::json;

Palette palette_of(const json& colors) {
  Palette palette;
  for (const auto& [name, rgb] : colors.items()) {
    palette.push_back({.name = name, .value = rgb.get<Color>()});
  }
  return palette;
}

std::string text_of(const json& value) { return value.is_null() ? "" : value.get<std::string>(); }

// A strip holds the frames side by side.
media::RgbVideo cut_strip(const media::RgbImage& strip, int64_t frames) {
  media::RgbVideo video{.frames = frames,
                        .size = {.height = strip.size.height, .width = strip.size.width / frames},
                        .pixels = {}};
  const int64_t row_bytes = video.size.width * 3;
  for (int64_t t = 0; t < frames; ++t) {
    for (int64_t y = 0; y < video.size.height; ++y) {
      const auto begin = strip.pixels.begin() + (y * frames + t) * row_bytes;
      video.pixels.insert(video.pixels.end(), begin, begin + row_bytes);
    }
  }
  return video;
}

}  // namespace

GoldenClips read_golden_clips() {
  const json document = json::parse(std::ifstream(test::golden_path("evaluation/clips.json")));
  GoldenClips result{.colors = palette_of(document["colors"]),
                     .backgrounds = palette_of(document["backgrounds"]),
                     .clips = {}};
  for (const json& clip : document["clips"]) {
    const auto file = clip["file"].get<std::string>();
    const media::RgbImage strip = media::read_image(test::golden_path("evaluation/" + file)).image;
    GoldenClip& golden = result.clips.emplace_back();
    golden.file = file;
    golden.kind = clip["kind"];
    golden.video = cut_strip(strip, clip["frames"]);
    golden.shape = text_of(clip["shape"]);
    golden.color = text_of(clip["color"]);
    golden.background = text_of(clip["background"]);
    golden.direction = text_of(clip["direction"]);
    golden.position = text_of(clip["position"]);
    if (clip.contains("flicker")) golden.flicker = clip["flicker"];
    if (clip.contains("constancy")) golden.constancy = clip["constancy"];
  }
  return result;
}

}  // namespace mxvideo::evaluation
