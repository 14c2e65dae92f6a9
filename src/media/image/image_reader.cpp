#include "media/image/image_reader.h"

#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/sha256.h"
#include "media/content_kind.h"
#include "media/image/image_decoders.h"
#include "media/image/image_resize.h"

namespace mxvideo::media {
namespace {

DecodedImage decode_by_content(std::span<const std::byte> bytes, const std::string& origin) {
  if (is_png(bytes)) return decode_png(bytes, origin);
  if (is_jpeg(bytes)) return decode_jpeg(bytes, origin);
  if (is_webp(bytes)) return decode_webp(bytes, origin);
  if (is_avif(bytes)) return decode_avif(bytes, origin);
  if (is_heic(bytes)) return decode_heic(bytes, origin);
  const ContentKind kind = content_kind(bytes);
  throw Error(Code::kUnsupported, origin +
                                      ": expected a PNG, JPEG, WebP, AVIF or HEIC image, got " +
                                      kind.name + "; " + kind.way_on);
}

}  // namespace

InputImage read_image(const std::filesystem::path& path, const RgbColor& background) {
  const std::string content = read_file(path, kMaxImageFileBytes);
  return decode_image(std::as_bytes(std::span(content)), path.string(), background);
}

InputImage decode_image(std::span<const std::byte> bytes, const std::string& origin,
                        const RgbColor& background) {
  DecodedImage decoded = decode_by_content(bytes, origin);
  InputImage result;
  for (const std::string& notice : decoded.notices) result.notices.push_back(origin + notice);
  result.transparent = decoded.channels == 4 && compose(decoded.samples, background);
  if (result.transparent) {
    result.notices.push_back(origin + ": transparent parts show the background, " +
                             color_text(background));
  }
  result.image = upright({.size = decoded.size, .pixels = std::move(decoded.samples)},
                         decoded.orientation.value());
  Sha256 hash;
  hash.update(bytes);
  result.sha256 = hash.hex_digest();
  return result;
}

void check_image_size(int64_t width, int64_t height, const std::string& origin) {
  const std::string size = std::to_string(width) + "x" + std::to_string(height);
  if (width < 1 || height < 1) {
    throw Error(Code::kCorruptFile, origin + ": image size " + size);
  }
  constexpr int64_t kMaxSide = kMaxImageSide;
  if (width > kMaxSide || height > kMaxSide || width * height > kMaxImagePixels) {
    throw Error(Code::kUnsupported, origin + ": image size: expected at most " +
                                        std::to_string(kMaxImagePixels) + " pixels and sides of " +
                                        std::to_string(kMaxSide) + ", got " + size);
  }
}

}  // namespace mxvideo::media
