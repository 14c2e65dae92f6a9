#include "evaluation/drawn_clips/shape_outline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace mxvideo::evaluation {
namespace {

constexpr double kMinOverlap = 0.85;
constexpr double kMinLead = 0.03;  // of the best overlap over the second
constexpr double kMaxIgnoredHole = 0.05;
constexpr double kMinRingHole = 0.08, kMaxRingHole = 0.6;
constexpr double kMaxHoleOffset = 0.2;  // from the middle of a ring, of its radius

// Whether (x, y) from the centroid lies in the ideal shape of this area.
bool in_ideal_shape(ShapeKind kind, double area, double x, double y) {
  switch (kind) {
    case ShapeKind::kBall:
      return (x * x + y * y) * std::numbers::pi <= area;
    case ShapeKind::kSquare:
      return 2 * std::max(std::abs(x), std::abs(y)) <= std::sqrt(area);
    case ShapeKind::kTriangle: {
      // Base and height are sqrt(2 * area); the centroid is a third of the height above the base.
      const double height = std::sqrt(2 * area);
      const double below_tip = y + height * 2 / 3;
      return below_tip <= height && 2 * std::abs(x) <= below_tip;
    }
    default:
      return false;
  }
}

// Intersection over union of the outline and the ideal shape.
double overlap(const PixelMask& outline, ShapeKind kind) {
  const Point middle = centroid(outline);
  const auto area = static_cast<double>(outline.count());
  int64_t both = 0, either = 0;
  for (int64_t y = 0; y < outline.size.height; ++y) {
    for (int64_t x = 0; x < outline.size.width; ++x) {
      const bool ideal = in_ideal_shape(kind, area, static_cast<double>(x) - middle.x,
                                        static_cast<double>(y) - middle.y);
      const bool real = outline.at(y, x);
      both += ideal && real ? 1 : 0;
      either += ideal || real ? 1 : 0;
    }
  }
  return static_cast<double>(both) / static_cast<double>(either);
}

ShapeKind classify_outline(const PixelMask& outline) {
  ShapeKind best = ShapeKind::kUnclear;
  double best_overlap = 0, second_overlap = 0;
  for (const ShapeKind kind : {ShapeKind::kBall, ShapeKind::kSquare, ShapeKind::kTriangle}) {
    const double value = overlap(outline, kind);
    second_overlap = std::max(second_overlap, std::min(value, best_overlap));
    if (value <= best_overlap) continue;
    best_overlap = value;
    best = kind;
  }
  const bool clear = best_overlap >= kMinOverlap && best_overlap >= second_overlap + kMinLead;
  return clear ? best : ShapeKind::kUnclear;
}

bool is_hole_of_ring(const PixelMask& holes, const PixelMask& outline) {
  const PixelMask hole = largest_component(holes);
  const auto area = static_cast<double>(outline.count());
  const double share = static_cast<double>(hole.count()) / area;
  if (share < kMinRingHole || share > kMaxRingHole) return false;
  if (static_cast<double>(holes.count() - hole.count()) > kMaxIgnoredHole * area) return false;
  const Point from = centroid(outline), to = centroid(hole);
  const double radius = std::sqrt(area / std::numbers::pi);
  return std::hypot(to.x - from.x, to.y - from.y) <= kMaxHoleOffset * radius;
}

}  // namespace

std::string_view shape_name(ShapeKind kind) {
  constexpr std::array<std::string_view, 5> kNames = {"", "ball", "square", "triangle", "ring"};
  return kNames[static_cast<size_t>(kind)];
}

ShapeKind classify_shape(const PixelMask& mask) {
  if (mask.count() == 0) return ShapeKind::kUnclear;
  const PixelMask outline = fill_holes(mask);
  const ShapeKind kind = classify_outline(outline);
  PixelMask holes = outline;
  for (size_t i = 0; i < holes.pixels.size(); ++i) {
    if (mask.pixels[i] != 0) holes.pixels[i] = 0;
  }
  const double hole_share =
      static_cast<double>(holes.count()) / static_cast<double>(outline.count());
  if (hole_share <= kMaxIgnoredHole) return kind;
  const bool ring = kind == ShapeKind::kBall && is_hole_of_ring(holes, outline);
  return ring ? ShapeKind::kRing : ShapeKind::kUnclear;
}

}  // namespace mxvideo::evaluation
