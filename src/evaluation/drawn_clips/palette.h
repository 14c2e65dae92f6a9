// Colours that have names. Thread-safe: plain values and pure functions.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace mxvideo::evaluation {

using Color = std::array<double, 3>;  // red, green, blue; levels of 0 to 255

struct NamedColor {
  std::string name;
  Color value{};
};

using Palette = std::vector<NamedColor>;

// Euclidean, in levels.
double color_distance(const Color& a, const Color& b);

// Farther than this from every colour of a palette, a colour has no name there. Two thirds of the
// way between orange and red, say: a shade passes, another colour does not.
inline constexpr double kColorTolerance = 64;

// The name of the nearest colour; empty when none lies within kColorTolerance.
std::string nearest_color(const Palette& palette, const Color& color);

}  // namespace mxvideo::evaluation
