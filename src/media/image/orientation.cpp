// EXIF orientation: CIPA DC-008 (Exif 2.3), tag 0x0112 of the first directory of a TIFF structure.
// XMP: the property Orientation of http://ns.adobe.com/tiff/1.0/ (XMP specification, part 2), under
// its registered prefix, as an attribute or an element.
#include <array>
#include <cstring>
#include <utility>

#include "media/image/image_decoders.h"

namespace mxvideo::media {
namespace {

constexpr std::string_view kExifPrefix("Exif\0\0", 6);
constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kTypeShort = 3;
constexpr size_t kEntryBytes = 12;
constexpr int64_t kChannels = 3;

// Little- or big-endian numbers of a byte range; reads outside give 0.
class TiffReader {
 public:
  TiffReader(std::span<const std::byte> bytes, bool big_endian)
      : bytes_(bytes), big_endian_(big_endian) {}

  uint32_t number(size_t offset, size_t size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < size) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const auto byte = std::to_integer<uint32_t>(bytes_[offset + i]);
      value |= byte << (8 * (big_endian_ ? size - 1 - i : i));
    }
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  bool big_endian_;
};

bool starts_with(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

}  // namespace

std::optional<int> exif_orientation(std::span<const std::byte> exif) {
  if (starts_with(exif, kExifPrefix)) exif = exif.subspan(kExifPrefix.size());
  const bool big_endian = starts_with(exif, "MM");
  if (!big_endian && !starts_with(exif, "II")) return std::nullopt;
  const TiffReader tiff(exif, big_endian);
  const size_t directory = tiff.number(4, 4);
  const size_t entries = tiff.number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (tiff.number(entry, 2) != kOrientationTag) continue;
    const uint32_t value = tiff.number(entry + 8, 2);
    const bool valid = tiff.number(entry + 2, 2) == kTypeShort && value >= 1 && value <= 8;
    if (!valid) return std::nullopt;
    return static_cast<int>(value);
  }
  return std::nullopt;
}

std::optional<int> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  constexpr std::string_view kSpace = " \t\r\n";
  for (size_t at = xmp.find(kName); at != std::string_view::npos; at = xmp.find(kName, at)) {
    at += kName.size();
    std::string_view rest = xmp.substr(at);
    const auto skip = [&](std::string_view characters) {
      const size_t first = rest.find_first_not_of(characters);
      rest.remove_prefix(first == std::string_view::npos ? rest.size() : first);
    };
    skip(kSpace);
    if (rest.empty() || (rest.front() != '=' && rest.front() != '>')) continue;
    rest.remove_prefix(1);
    skip(" \t\r\n\"'");
    const bool single = rest.size() >= 2 && (rest[1] < '0' || rest[1] > '9');
    if (single && rest[0] >= '1' && rest[0] <= '8') return rest[0] - '0';
  }
  return std::nullopt;
}

RgbImage upright(RgbImage image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  // Orientations 5 to 8 have the stored rows as columns. Then which axes of the result run
  // backwards through the stored picture:
  struct Flip {
    bool vertical, horizontal;
  };
  constexpr std::array<Flip, 9> kFlips = {{{false, false},
                                           {false, false},
                                           {false, true},
                                           {true, true},
                                           {true, false},
                                           {false, false},
                                           {false, true},
                                           {true, true},
                                           {true, false}}};
  const Flip flip = kFlips[static_cast<size_t>(orientation)];
  const bool transpose = orientation >= 5;
  const ImageSize stored = image.size;
  RgbImage result{.size = stored, .pixels = {}};
  if (transpose) std::swap(result.size.height, result.size.width);
  result.pixels.resize(image.pixels.size());
  uint8_t* output = result.pixels.data();
  for (int64_t y = 0; y < result.size.height; ++y) {
    const int64_t v = flip.vertical ? result.size.height - 1 - y : y;
    for (int64_t x = 0; x < result.size.width; ++x, output += kChannels) {
      const int64_t u = flip.horizontal ? result.size.width - 1 - x : x;
      const int64_t pixel = transpose ? u * stored.width + v : v * stored.width + u;
      std::memcpy(output, image.pixels.data() + pixel * kChannels, kChannels);
    }
  }
  return result;
}

}  // namespace mxvideo::media
