// Pictures from outside: PNG, JPEG, WebP, AVIF and HEIC, told apart by content, decoded to RGB
// bytes and turned upright by EXIF or XMP (AVIF and HEIC: by their own properties only), as
// Pillow's Image.open(), ImageOps.exif_transpose() and convert("RGB") do, with two differences:
// transparent parts show a background, and of 16-bit samples the high byte is kept in grey pictures
// too. Colour profiles and gamma are not applied.
//
// Hostile until decoded: the size is checked against kMaxImagePixels before memory is taken, and a
// truncated or damaged file is an error, never a partly grey picture. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "media/image/background.h"
#include "media/rgb_image.h"

namespace mxvideo::media {

inline constexpr int64_t kMaxImagePixels = 40'000'000;
inline constexpr size_t kMaxImageFileBytes = size_t{256} << 20;

struct InputImage {
  RgbImage image;
  std::string sha256;        // of the file's bytes
  bool transparent = false;  // the background shows somewhere
  // What was done to the picture that its owner may not expect, one sentence each.
  std::vector<std::string> notices;
};

// Throws Code::kNotFound, Code::kIo, and what decode_image() throws.
InputImage read_image(const std::filesystem::path& path, const RgbColor& background = kBlack);

// `origin` names the source in messages. Throws Code::kCorruptFile when the content is damaged,
// Code::kUnsupported for other formats, which it names, animations and more than kMaxImagePixels.
InputImage decode_image(std::span<const std::byte> bytes, const std::string& origin,
                        const RgbColor& background = kBlack);

}  // namespace mxvideo::media
