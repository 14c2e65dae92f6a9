// Clips of tests/golden/evaluation, drawn and damaged by tools/golden/evaluation.py.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "evaluation/drawn_clips/palette.h"
#include "media/video_writer.h"

namespace mxvideo::evaluation {

struct GoldenClip {
  std::string file, kind;  // kind: "drawn", "damaged", "negative", "measured"
  media::RgbVideo video;
  std::string shape, color, background, direction, position;  // empty: not to be seen
  std::optional<double> flicker, constancy;
};

struct GoldenClips {
  Palette colors, backgrounds;
  std::vector<GoldenClip> clips;
};

GoldenClips read_golden_clips();

}  // namespace mxvideo::evaluation
