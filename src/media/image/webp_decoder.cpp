#include <webp/decode.h>

#include <cstring>
#include <string_view>

#include "base/error.h"
#include "media/image/image_decoders.h"

namespace mxvideo::media {
namespace {

bool has_text(std::span<const std::byte> bytes, size_t offset, std::string_view text) {
  return bytes.size() >= offset + text.size() &&
         std::memcmp(bytes.data() + offset, text.data(), text.size()) == 0;
}

uint32_t little_endian32(std::span<const std::byte> bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= std::to_integer<uint32_t>(bytes[offset + i]) << (8 * i);
  }
  return value;
}

// The first chunk of that name in the RIFF container; empty when there is none.
std::span<const std::byte> find_chunk(std::span<const std::byte> bytes, std::string_view name) {
  constexpr size_t kRiffHeader = 12;
  constexpr size_t kChunkHeader = 8;
  size_t offset = kRiffHeader;
  while (offset + kChunkHeader <= bytes.size()) {
    const size_t length = little_endian32(bytes, offset + 4);
    const size_t content = offset + kChunkHeader;
    if (length > bytes.size() - content) return {};
    if (has_text(bytes, offset, name)) return bytes.subspan(content, length);
    offset = content + length + length % 2;
  }
  return {};
}

}  // namespace

bool is_webp(std::span<const std::byte> bytes) {
  return has_text(bytes, 0, "RIFF") && has_text(bytes, 8, "WEBP");
}

DecodedImage decode_webp(std::span<const std::byte> bytes, const std::string& origin) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    throw Error(Code::kCorruptFile, origin + ": not a valid WebP image: unreadable header");
  }
  if (features.has_animation != 0) {
    throw Error(Code::kUnsupported, origin + ": expected a still image, got an animated WebP");
  }
  check_image_size(features.width, features.height, origin);

  DecodedImage result;
  result.size = {.height = features.height, .width = features.width};
  result.channels = features.has_alpha != 0 ? 4 : 3;
  const int stride = features.width * result.channels;
  std::vector<uint8_t>& samples = result.samples;
  samples.resize(static_cast<size_t>(stride) * static_cast<size_t>(features.height));
  const auto decode_into = features.has_alpha != 0 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (decode_into(data, bytes.size(), samples.data(), samples.size(), stride) == nullptr) {
    throw Error(Code::kCorruptFile, origin + ": not a valid WebP image: damaged or truncated");
  }
  result.orientation.exif = exif_orientation(find_chunk(bytes, "EXIF"));
  const std::span<const std::byte> xmp = find_chunk(bytes, "XMP ");
  result.orientation.xmp = xmp_orientation({reinterpret_cast<const char*>(xmp.data()), xmp.size()});
  return result;
}

}  // namespace mxvideo::media
