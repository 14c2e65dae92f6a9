// An 8-bit RGB picture: rows from the top, pixels from the left, three bytes each.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace mxvideo::media {

struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const ImageSize&) const = default;
};

using RgbColor = std::array<uint8_t, 3>;

struct RgbImage {
  ImageSize size;
  std::vector<uint8_t> pixels;  // [height, width, 3]
};

}  // namespace mxvideo::media
