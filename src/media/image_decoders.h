// The decoders behind image_reader.h, one per format. Each throws as decode_image() does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pipeline/rgb_image.h"

namespace mxvideo::media {

struct DecodedImage {
  pipeline::RgbImage image;
  int orientation = 1;  // EXIF, 1 to 8; 1 is upright
};

bool is_png(std::span<const std::byte> bytes);
bool is_jpeg(std::span<const std::byte> bytes);
bool is_webp(std::span<const std::byte> bytes);

DecodedImage decode_png(std::span<const std::byte> bytes, const std::string& origin);
DecodedImage decode_jpeg(std::span<const std::byte> bytes, const std::string& origin);
DecodedImage decode_webp(std::span<const std::byte> bytes, const std::string& origin);

// Throws unless both sides are positive and the image is within kMaxImagePixels and
// pipeline::kMaxImageSide.
void check_image_size(int64_t width, int64_t height, const std::string& origin);

// The orientation tag of an EXIF block (a TIFF structure, with or without "Exif\0\0" in front);
// 1 when there is none, or when the block cannot be read: it is a hint.
int exif_orientation(std::span<const std::byte> exif);

// The picture as it should be looked at.
pipeline::RgbImage upright(pipeline::RgbImage image, int orientation);

}  // namespace mxvideo::media
