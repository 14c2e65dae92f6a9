#include "evaluation/drawn_clips/palette.h"

#include <cmath>

namespace mxvideo::evaluation {

double color_distance(const Color& a, const Color& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

std::string nearest_color(const Palette& palette, const Color& color) {
  std::string name;
  double nearest = kColorTolerance;
  for (const NamedColor& candidate : palette) {
    const double distance = color_distance(candidate.value, color);
    if (distance > nearest) continue;
    nearest = distance;
    name = candidate.name;
  }
  return name;
}

}  // namespace mxvideo::evaluation
