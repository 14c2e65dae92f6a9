// PNG files: 8-bit RGB, tagged sRGB. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "media/rgb_image.h"

namespace mxvideo::media {

// `pixels` is [height, width, 3]; `texts` go into iTXt chunks, their keys with a capital as PNG's
// own keywords. Throws Code::kOutOfMemory, Code::kInternal.
std::vector<std::byte> encode_png(ImageSize size, std::span<const uint8_t> pixels,
                                  const std::map<std::string, std::string>& texts = {});

// Appears whole or not at all. Throws Code::kIo.
void write_png(const std::filesystem::path& path, const RgbImage& image);

}  // namespace mxvideo::media
