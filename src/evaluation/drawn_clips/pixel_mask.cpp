#include "evaluation/drawn_clips/pixel_mask.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace mxvideo::evaluation {
namespace {

using Position = std::pair<int64_t, int64_t>;  // y, x
constexpr std::array<Position, 4> kSides = {{{-1, 0}, {1, 0}, {0, -1}, {0, 1}}};

size_t index_of(const PixelMask& mask, int64_t y, int64_t x) {
  return static_cast<size_t>(y * mask.size.width + x);
}

bool inside_frame(const PixelMask& mask, int64_t y, int64_t x) {
  return y >= 0 && y < mask.size.height && x >= 0 && x < mask.size.width;
}

// Inverts everything in `pool` that can be reached from `start` over pixels with `value`, and
// returns where that was.
std::vector<Position> flood(PixelMask& pool, Position start, uint8_t value) {
  std::vector<Position> reached = {start};
  const auto invert = [&](Position at) {
    pool.pixels[index_of(pool, at.first, at.second)] = static_cast<uint8_t>(1 - value);
  };
  invert(start);
  for (size_t next = 0; next < reached.size(); ++next) {
    const auto [y, x] = reached[next];
    for (const auto& [dy, dx] : kSides) {
      const Position side = {y + dy, x + dx};
      if (!inside_frame(pool, side.first, side.second)) continue;
      if (pool.pixels[index_of(pool, side.first, side.second)] != value) continue;
      invert(side);
      reached.push_back(side);
    }
  }
  return reached;
}

template <class Visit>
void for_each_pixel(const PixelMask& mask, const Visit& visit) {
  for (int64_t y = 0; y < mask.size.height; ++y) {
    for (int64_t x = 0; x < mask.size.width; ++x) {
      if (mask.pixels[index_of(mask, y, x)] != 0) visit(y, x);
    }
  }
}

// One axis at a time: a pixel gets 1 when at least `needed` of its 2 * radius + 1 neighbours in a
// line are in the mask.
PixelMask count_line(const PixelMask& mask, Position step, int64_t radius, int64_t needed) {
  PixelMask result(mask.size);
  for (int64_t y = 0; y < mask.size.height; ++y) {
    for (int64_t x = 0; x < mask.size.width; ++x) {
      int64_t found = 0;
      for (int64_t i = -radius; i <= radius; ++i) {
        found += mask.at(y + i * step.first, x + i * step.second) ? 1 : 0;
      }
      result.pixels[index_of(mask, y, x)] = found >= needed ? 1 : 0;
    }
  }
  return result;
}

}  // namespace

PixelMask::PixelMask(media::ImageSize mask_size)
    : size(mask_size), pixels(static_cast<size_t>(mask_size.height * mask_size.width)) {}

bool PixelMask::at(int64_t y, int64_t x) const {
  return inside_frame(*this, y, x) && pixels[index_of(*this, y, x)] != 0;
}

int64_t PixelMask::count() const {
  return std::accumulate(pixels.begin(), pixels.end(), int64_t{0});
}

Point centroid(const PixelMask& mask) {
  Point sum;
  int64_t count = 0;
  for_each_pixel(mask, [&](int64_t y, int64_t x) {
    sum.x += static_cast<double>(x);
    sum.y += static_cast<double>(y);
    ++count;
  });
  return {.x = sum.x / static_cast<double>(count), .y = sum.y / static_cast<double>(count)};
}

Point middle_of_box(const PixelMask& mask) {
  int64_t left = mask.size.width, right = 0, top = mask.size.height, bottom = 0;
  for_each_pixel(mask, [&](int64_t y, int64_t x) {
    left = std::min(left, x);
    right = std::max(right, x);
    top = std::min(top, y);
    bottom = std::max(bottom, y);
  });
  return {.x = static_cast<double>(left + right) / 2, .y = static_cast<double>(top + bottom) / 2};
}

PixelMask largest_component(const PixelMask& mask) {
  PixelMask pool = mask;
  std::vector<Position> largest;
  for_each_pixel(mask, [&](int64_t y, int64_t x) {
    if (!pool.at(y, x)) return;
    std::vector<Position> component = flood(pool, {y, x}, 1);
    if (component.size() > largest.size()) largest = std::move(component);
  });
  PixelMask result(mask.size);
  for (const auto& [y, x] : largest) result.pixels[index_of(mask, y, x)] = 1;
  return result;
}

PixelMask fill_holes(const PixelMask& mask) {
  // Turns all of the outside to 1; what stays 0 is the holes.
  PixelMask pool = mask;
  const auto flood_from = [&](int64_t y, int64_t x) {
    if (!pool.at(y, x)) flood(pool, {y, x}, 0);
  };
  for (int64_t x = 0; x < mask.size.width; ++x) {
    flood_from(0, x);
    flood_from(mask.size.height - 1, x);
  }
  for (int64_t y = 0; y < mask.size.height; ++y) {
    flood_from(y, 0);
    flood_from(y, mask.size.width - 1);
  }
  PixelMask result = mask;
  for (size_t i = 0; i < pool.pixels.size(); ++i) {
    if (pool.pixels[i] == 0) result.pixels[i] = 1;
  }
  return result;
}

PixelMask erode(const PixelMask& mask, int64_t radius) {
  const int64_t all = 2 * radius + 1;
  return count_line(count_line(mask, {0, 1}, radius, all), {1, 0}, radius, all);
}

PixelMask dilate(const PixelMask& mask, int64_t radius) {
  return count_line(count_line(mask, {0, 1}, radius, 1), {1, 0}, radius, 1);
}

}  // namespace mxvideo::evaluation
