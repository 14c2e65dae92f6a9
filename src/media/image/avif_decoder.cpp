#include <avif/avif.h>

#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/system/shared_library.h"
#include "media/image/image_decoders.h"
#include "media/image/image_reader.h"
#include "media/image/image_resize.h"

namespace mxvideo::media {
namespace {

struct Libavif {
  SharedLibrary library{MXVIDEO_AVIF_LIBRARY};
  MXVIDEO_FUNCTION(avifCropRectConvertCleanApertureBox);
  MXVIDEO_FUNCTION(avifDecoderCreate);
  MXVIDEO_FUNCTION(avifDecoderDestroy);
  MXVIDEO_FUNCTION(avifDecoderNextImage);
  MXVIDEO_FUNCTION(avifDecoderParse);
  MXVIDEO_FUNCTION(avifDecoderSetIOMemory);
  MXVIDEO_FUNCTION(avifImageYUVToRGB);
  MXVIDEO_FUNCTION(avifPeekCompatibleFileType);
  MXVIDEO_FUNCTION(avifRGBImageSetDefaults);
  MXVIDEO_FUNCTION(avifResultToString);
};

const Libavif& libavif() {
  static const Libavif table;
  return table;
}

struct Free {
  void operator()(avifDecoder* decoder) const { libavif().avifDecoderDestroy(decoder); }
};

// EXIF's number for a rotation and the mirroring after it, which AVIF has instead.
int orientation_of(const avifImage& image) {
  const bool mirrored = (image.transformFlags & AVIF_TRANSFORM_IMIR) != 0;
  const int angle = (image.transformFlags & AVIF_TRANSFORM_IROT) != 0 ? image.irot.angle : 0;
  constexpr int kTurned[4] = {1, 8, 3, 6};
  constexpr int kTopAndBottomExchanged[4] = {4, 5, 2, 7};
  constexpr int kLeftAndRightExchanged[4] = {2, 7, 4, 5};
  if (!mirrored) return kTurned[angle % 4];
  return image.imir.mode == 0 ? kTopAndBottomExchanged[angle % 4]
                              : kLeftAndRightExchanged[angle % 4];
}

// Cuts the picture to its clean aperture; one that makes no sense is left, as browsers do.
void crop(const avifImage& image, DecodedImage& result) {
  if ((image.transformFlags & AVIF_TRANSFORM_CLAP) == 0) return;
  avifCropRect part;
  avifDiagnostics diagnostics;
  if (!libavif().avifCropRectConvertCleanApertureBox(&part, &image.clap, image.width, image.height,
                                                     image.yuvFormat, &diagnostics)) {
    result.notices.emplace_back(": the crop that the file asks for is invalid and ignored");
    return;
  }
  const size_t row = size_t{part.width} * static_cast<size_t>(result.channels);
  const size_t stored_row = size_t{image.width} * static_cast<size_t>(result.channels);
  uint8_t* samples = result.samples.data();
  for (size_t y = 0; y < part.height; ++y) {
    std::memmove(
        samples + y * row,
        samples + (part.y + y) * stored_row + size_t{part.x} * static_cast<size_t>(result.channels),
        row);
  }
  result.size = {.height = part.height, .width = part.width};
  result.samples.resize(row * part.height);
}

}  // namespace

bool is_avif(std::span<const std::byte> bytes) {
  const avifROData data{.data = reinterpret_cast<const uint8_t*>(bytes.data()),
                        .size = bytes.size()};
  return libavif().avifPeekCompatibleFileType(&data) != AVIF_FALSE;
}

DecodedImage decode_avif(std::span<const std::byte> bytes, const std::string& origin) {
  const std::unique_ptr<avifDecoder, Free> decoder(libavif().avifDecoderCreate());
  if (decoder == nullptr) throw Error(Code::kOutOfMemory, origin + ": cannot start libavif");
  const auto require = [&](avifResult code) {
    if (code == AVIF_RESULT_OK) return;
    const std::string detail = decoder->diag.error;
    if (detail.find("too large") != std::string::npos) {
      throw Error(Code::kUnsupported, origin + ": image size: expected at most " +
                                          std::to_string(kMaxImagePixels) + " pixels, got " +
                                          detail);
    }
    throw Error(code == AVIF_RESULT_OUT_OF_MEMORY ? Code::kOutOfMemory : Code::kCorruptFile,
                origin + ": not a valid AVIF image: " + libavif().avifResultToString(code));
  };
  decoder->codecChoice = AVIF_CODEC_CHOICE_DAV1D;  // the one that minds the limit of the size
  decoder->imageSizeLimit = kMaxImagePixels;
  decoder->imageDimensionLimit = kMaxImageSide;
  decoder->ignoreExif = AVIF_TRUE;  // its orientation has no say in AVIF
  decoder->ignoreXMP = AVIF_TRUE;
  decoder->strictFlags = AVIF_STRICT_ALPHA_ISPE_REQUIRED;  // as Pillow and Chromium
  require(libavif().avifDecoderSetIOMemory(
      decoder.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  require(libavif().avifDecoderParse(decoder.get()));
  const avifImage& image = *decoder->image;
  check_image_size(image.width, image.height, origin);
  if (decoder->imageCount > 1) {
    throw Error(Code::kUnsupported, origin + ": expected a still image, got an AVIF animation");
  }
  require(libavif().avifDecoderNextImage(decoder.get()));

  DecodedImage result;
  result.size = {.height = image.height, .width = image.width};
  result.channels = decoder->alphaPresent ? 4 : 3;
  avifRGBImage rgb;
  libavif().avifRGBImageSetDefaults(&rgb, &image);
  rgb.depth = 8;
  rgb.format = decoder->alphaPresent ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  rgb.rowBytes = image.width * static_cast<uint32_t>(result.channels);
  result.samples.resize(size_t{rgb.rowBytes} * image.height);
  rgb.pixels = result.samples.data();
  require(libavif().avifImageYUVToRGB(&image, &rgb));
  crop(image, result);
  result.orientation.exif = orientation_of(image);
  if (image.transferCharacteristics == AVIF_TRANSFER_CHARACTERISTICS_SMPTE2084 ||
      image.transferCharacteristics == AVIF_TRANSFER_CHARACTERISTICS_HLG) {
    result.notices.emplace_back(": holds HDR colours, which are read as if they were SDR's");
  }
  return result;
}

}  // namespace mxvideo::media
