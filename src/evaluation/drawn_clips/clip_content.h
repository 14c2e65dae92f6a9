// What a clip shows: which shape, in which colour, on which background, where it moves, and how
// steady the background is. What the frames do not show clearly stays empty: a video without a
// clear shape has no shape, no colour, no motion and no position, and is no error.
//
// A property of the clip is one that at least three quarters of its frames have. Thread-safe: pure
// functions.
#pragma once

#include <string>

#include "evaluation/drawn_clips/palette.h"
#include "media/video_writer.h"

namespace mxvideo::evaluation {

struct ClipContent {
  // Each empty when the clip does not show it clearly.
  std::string shape;       // "ball", "square", "triangle", "ring"
  std::string color;       // name of the palette
  std::string background;  // likewise
  // "right", "left", "up", "down": the middle of the shape against time, fitted by least squares.
  // It must move by an eighth of the shorter side, and at most half as much the other way.
  std::string direction;
  // The third of the frame in which the middle of the shape is, in the mean of the frames.
  std::string row;     // "top", "middle", "bottom"
  std::string column;  // "left", "middle", "right"
  // Mean absolute change of a channel from frame to frame, in levels, and the percentage of pixels
  // of which every channel is within kBackgroundTolerance levels of the clip's median background.
  // Over pixels that are not near the shape (a thirty-second of the shorter side).
  double flicker = 0;
  double background_constancy = 0;
};

inline constexpr double kBackgroundTolerance = 16;

ClipContent measure_clip(const media::RgbVideo& video, const Palette& colors,
                         const Palette& backgrounds);

}  // namespace mxvideo::evaluation
