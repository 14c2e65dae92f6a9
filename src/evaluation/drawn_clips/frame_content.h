// What one frame of a drawn clip shows: a plain background and one shape on it. The frame may be
// what a model generated: blurred by some pixels, noisy, in slightly other colours, or nothing of
// the kind. Lengths are relative to the frame, so that any size can be measured.
//
// Thread-safe: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "evaluation/drawn_clips/palette.h"
#include "evaluation/drawn_clips/pixel_mask.h"
#include "evaluation/drawn_clips/shape_outline.h"

namespace mxvideo::evaluation {

struct ShapeContent {
  ShapeKind kind = ShapeKind::kUnclear;
  std::optional<Color> color;  // mean of the interior; none when that has no single colour
  Point middle;                // of the bounding box, in pixels
};

struct FrameContent {
  Color background{};                 // median of the frame's rim, per channel
  bool is_plain = false;              // most of the rim has that colour
  PixelMask foreground;               // pixels that belong to the largest thing in the frame
  std::optional<ShapeContent> shape;  // when that thing is one, and neither tiny nor huge
};

// `pixels` is RGB, [height, width, 3].
FrameContent measure_frame(media::ImageSize size, std::span<const uint8_t> pixels);

}  // namespace mxvideo::evaluation
