// Which of the drawn shapes a mask of pixels is: classical descriptors, nothing learned.
//
// The outline (the mask with its holes filled) is compared with an ideal ball, an upright square
// and an upright triangle as high as its base is wide, each with the outline's area and centroid.
// The measure is the overlap, intersection over union, which blur and noise at the edge change
// little: a ball and a square of one area overlap by 0.835, a ball and a triangle by less. A round
// outline around one hole is a ring.
//
// Thread-safe: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "evaluation/drawn_clips/pixel_mask.h"

namespace mxvideo::evaluation {

enum class ShapeKind : uint8_t { kUnclear, kBall, kSquare, kTriangle, kRing };

// "ball", "square", "triangle", "ring"; empty for kUnclear.
std::string_view shape_name(ShapeKind kind);

// kUnclear when no ideal shape overlaps by 0.85, when two overlap about as well, or when holes are
// neither negligible (below 5 % of the outline) nor a ring's (one, in the middle, 8 % to 60 %).
ShapeKind classify_shape(const PixelMask& mask);

}  // namespace mxvideo::evaluation
