// What shows through the transparent parts of a picture. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "media/rgb_image.h"

namespace mxvideo::media {

inline constexpr RgbColor kBlack = {0, 0, 0};

// A colour by the names of HTML or as #RRGGBB (libavutil's av_parse_color()). Throws
// Code::kInvalidArgument; also for a colour that is itself transparent, or "random".
RgbColor parse_color(const std::string& text);

// "#0080ff".
std::string color_text(const RgbColor& color);

// RGBA samples over the background: (a * c + (255 - a) * background) / 255, rounded to nearest, as
// Pillow's Image.alpha_composite(). Leaves RGB samples in the vector; returns whether any pixel was
// not opaque.
bool compose(std::vector<uint8_t>& samples, const RgbColor& background);

}  // namespace mxvideo::media
