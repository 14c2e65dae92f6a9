// A set of pixels of one frame, and the operations of binary images that measuring needs.
// Thread-safe: plain values and pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "media/rgb_image.h"

namespace mxvideo::evaluation {

struct PixelMask {
  media::ImageSize size;
  std::vector<uint8_t> pixels;  // [height, width], 1 inside and 0 outside

  explicit PixelMask(media::ImageSize mask_size);
  bool at(int64_t y, int64_t x) const;  // false beyond the frame
  int64_t count() const;
};

struct Point {
  double x = 0, y = 0;  // pixels, from the middle of the first pixel
};

// Of a mask that is not empty.
Point centroid(const PixelMask& mask);
Point middle_of_box(const PixelMask& mask);

// The largest set of pixels that touch each other by a side; empty for an empty mask. Of several
// that are equally large the first in reading order.
PixelMask largest_component(const PixelMask& mask);

// The mask and every pixel that cannot reach the rim of the frame without crossing it.
PixelMask fill_holes(const PixelMask& mask);

// Pixels whose whole square of side 2 * radius + 1 lies in the mask, and pixels whose square meets
// it. Beyond the frame nothing belongs to the mask.
PixelMask erode(const PixelMask& mask, int64_t radius);
PixelMask dilate(const PixelMask& mask, int64_t radius);

}  // namespace mxvideo::evaluation
