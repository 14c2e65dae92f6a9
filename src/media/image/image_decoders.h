// The decoders behind image_reader.h, one per format. Each throws as decode_image() does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "media/rgb_image.h"

namespace mxvideo::media {

// How the stored picture must be turned: 1 to 8 as EXIF counts, 1 is upright.
struct OrientationTags {
  std::optional<int> exif, xmp;

  // EXIF before XMP, as Pillow's Image.getexif().
  int value() const { return exif.value_or(xmp.value_or(1)); }
};

struct DecodedImage {
  ImageSize size;
  int channels = 3;              // 3: RGB, 4: RGB and alpha, not premultiplied
  std::vector<uint8_t> samples;  // [height, width, channels]
  OrientationTags orientation;
  std::vector<std::string> notices;  // what was left out, half sentences
};

bool is_png(std::span<const std::byte> bytes);
bool is_jpeg(std::span<const std::byte> bytes);
bool is_webp(std::span<const std::byte> bytes);
bool is_avif(std::span<const std::byte> bytes);
bool is_heic(std::span<const std::byte> bytes);

DecodedImage decode_png(std::span<const std::byte> bytes, const std::string& origin);
DecodedImage decode_jpeg(std::span<const std::byte> bytes, const std::string& origin);
DecodedImage decode_webp(std::span<const std::byte> bytes, const std::string& origin);
DecodedImage decode_avif(std::span<const std::byte> bytes, const std::string& origin);
// Comes with its orientation applied.
DecodedImage decode_heic(std::span<const std::byte> bytes, const std::string& origin);

// Throws unless both sides are positive and the image is within kMaxImagePixels and
// kMaxImageSide.
void check_image_size(int64_t width, int64_t height, const std::string& origin);

// The orientation tag of an EXIF block (a TIFF structure, with or without "Exif\0\0" in front);
// nothing when there is none, or when the block cannot be read: it is a hint.
std::optional<int> exif_orientation(std::span<const std::byte> exif);
// The same of an XMP packet.
std::optional<int> xmp_orientation(std::string_view xmp);

// The picture as it should be looked at.
RgbImage upright(RgbImage image, int orientation);

}  // namespace mxvideo::media
