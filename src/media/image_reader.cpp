#include "media/image_reader.h"

#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "media/image_decoders.h"
#include "pipeline/image_resize.h"

namespace mxvideo::media {
namespace {

DecodedImage decode_by_content(std::span<const std::byte> bytes, const std::string& origin) {
  if (is_png(bytes)) return decode_png(bytes, origin);
  if (is_jpeg(bytes)) return decode_jpeg(bytes, origin);
  if (is_webp(bytes)) return decode_webp(bytes, origin);
  throw Error(Code::kUnsupported, origin + ": expected a PNG, JPEG or WebP image");
}

}  // namespace

pipeline::RgbImage read_image(const std::filesystem::path& path) {
  const std::string content = read_file(path, kMaxImageFileBytes);
  return decode_image(std::as_bytes(std::span(content)), path.string());
}

pipeline::RgbImage decode_image(std::span<const std::byte> bytes, const std::string& origin) {
  DecodedImage decoded = decode_by_content(bytes, origin);
  return upright(std::move(decoded.image), decoded.orientation);
}

void check_image_size(int64_t width, int64_t height, const std::string& origin) {
  const std::string size = std::to_string(width) + "x" + std::to_string(height);
  if (width < 1 || height < 1) {
    throw Error(Code::kCorruptFile, origin + ": image size " + size);
  }
  constexpr int64_t kMaxSide = pipeline::kMaxImageSide;
  if (width > kMaxSide || height > kMaxSide || width * height > kMaxImagePixels) {
    throw Error(Code::kUnsupported, origin + ": image size: expected at most " +
                                        std::to_string(kMaxImagePixels) + " pixels and sides of " +
                                        std::to_string(kMaxSide) + ", got " + size);
  }
}

}  // namespace mxvideo::media
