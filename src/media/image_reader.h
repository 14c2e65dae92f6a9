// Pictures from outside: PNG, JPEG and WebP, told apart by content, decoded to RGB bytes as
// Pillow's Image.open(), ImageOps.exif_transpose() and convert("RGB") do: alpha and transparency
// are dropped, not composited; 16-bit colour samples keep their high byte; colour profiles and
// gamma are not applied.
//
// Hostile until decoded: the size is checked against kMaxImagePixels before memory is taken, and a
// truncated or damaged file is an error, never a partly grey picture. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "pipeline/rgb_image.h"

namespace mxvideo::media {

inline constexpr int64_t kMaxImagePixels = 40'000'000;
inline constexpr size_t kMaxImageFileBytes = size_t{256} << 20;

// Throws Code::kNotFound, Code::kIo, and what decode_image() throws.
pipeline::RgbImage read_image(const std::filesystem::path& path);

// `origin` names the source in messages. Throws Code::kCorruptFile when the content is damaged,
// Code::kUnsupported for other formats, animations and more than kMaxImagePixels.
pipeline::RgbImage decode_image(std::span<const std::byte> bytes, const std::string& origin);

}  // namespace mxvideo::media
