#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "media/image/image_decoders.h"

namespace mxvideo::media {
namespace {

// Everything that a decoding in progress owns, outside the frame that longjmp returns to.
struct PngDecoding {
  std::span<const std::byte> input;
  std::string message;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<png_bytep> rows;
  DecodedImage result;

  ~PngDecoding() { png_destroy_read_struct(&png, &info, nullptr); }
};

void on_error(png_structp png, png_const_charp message) {
  static_cast<PngDecoding*>(png_get_error_ptr(png))->message = message;
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep destination, size_t count) {
  auto& decoding = *static_cast<PngDecoding*>(png_get_io_ptr(png));
  if (decoding.input.size() < count) png_error(png, "file is truncated");
  std::memcpy(destination, decoding.input.data(), count);
  decoding.input = decoding.input.subspan(count);
}

// Every form to 8-bit RGB, or RGBA where anything may be transparent. Of 16 bits the high byte.
void choose_transformations(png_structp png, png_infop info) {
  png_set_expand(png);  // palettes, grey of 1, 2 and 4 bits, transparent colours
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

// Returns false after an error of libpng. No object with a destructor lives in this frame.
bool read_header(PngDecoding& decoding) {
  if (setjmp(png_jmpbuf(decoding.png)) != 0) return false;
  png_set_read_fn(decoding.png, &decoding, on_read);
  png_read_info(decoding.png, decoding.info);
  return true;
}

bool read_pixels(PngDecoding& decoding) {
  if (setjmp(png_jmpbuf(decoding.png)) != 0) return false;
  png_read_image(decoding.png, decoding.rows.data());
  png_read_end(decoding.png, decoding.info);
  return true;
}

// Returns false after an error of libpng. Memory for the samples, and the rows that point into it.
bool prepare_rows(PngDecoding& decoding) {
  if (setjmp(png_jmpbuf(decoding.png)) != 0) return false;
  choose_transformations(decoding.png, decoding.info);
  DecodedImage& image = decoding.result;
  image.channels = png_get_channels(decoding.png, decoding.info);
  const size_t row_bytes = static_cast<size_t>(image.size.width * image.channels);
  if (png_get_rowbytes(decoding.png, decoding.info) != row_bytes ||
      (image.channels != 3 && image.channels != 4)) {
    png_error(decoding.png, "unexpected row size");
  }
  image.samples.resize(row_bytes * static_cast<size_t>(image.size.height));
  for (int64_t y = 0; y < image.size.height; ++y) {
    decoding.rows.push_back(image.samples.data() + static_cast<size_t>(y) * row_bytes);
  }
  return true;
}

// ImageMagick's text form of a profile: a line break, the name, the number of bytes, hex digits.
std::vector<std::byte> raw_profile(std::string_view text) {
  std::vector<std::byte> bytes;
  for (int line = 0; line < 3; ++line) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  size_t high = std::string_view::npos;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) continue;
    if (high == std::string_view::npos) {
      high = digit;
      continue;
    }
    bytes.push_back(static_cast<std::byte>(high << 4 | digit));
    high = std::string_view::npos;
  }
  return bytes;
}

// The chunk eXIf, and the texts in which older programs keep EXIF and all of them XMP.
OrientationTags read_orientation(png_structp png, png_infop info) {
  OrientationTags tags;
  png_bytep exif = nullptr;
  png_uint_32 exif_bytes = 0;
  if (png_get_eXIf_1(png, info, &exif_bytes, &exif) != 0) {
    tags.exif = exif_orientation(std::as_bytes(std::span(exif, exif_bytes)));
  }
  png_textp texts = nullptr;
  const int count = png_get_text(png, info, &texts, nullptr);
  for (const png_text& text : std::span(texts, static_cast<size_t>(std::max(count, 0)))) {
    const std::string_view key = text.key;
    const size_t bytes = text.compression > 0 ? text.itxt_length : text.text_length;
    if (key == "XML:com.adobe.xmp") tags.xmp = xmp_orientation({text.text, bytes});
    if (key == "Raw profile type exif" && !tags.exif) {
      tags.exif = exif_orientation(raw_profile({text.text, bytes}));
    }
  }
  return tags;
}

}  // namespace

bool is_png(std::span<const std::byte> bytes) {
  constexpr size_t kSignature = 8;
  return bytes.size() >= kSignature &&
         png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, kSignature) == 0;
}

DecodedImage decode_png(std::span<const std::byte> bytes, const std::string& origin) {
  PngDecoding decoding;
  decoding.input = bytes;
  const auto fail = [&] {
    throw Error(Code::kCorruptFile, origin + ": not a valid PNG image: " + decoding.message);
  };
  decoding.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoding, on_error, on_warning);
  if (decoding.png != nullptr) decoding.info = png_create_info_struct(decoding.png);
  if (decoding.info == nullptr) throw Error(Code::kOutOfMemory, origin + ": cannot start libpng");
  if (!read_header(decoding)) fail();

  DecodedImage& image = decoding.result;
  image.size = {.height = png_get_image_height(decoding.png, decoding.info),
                .width = png_get_image_width(decoding.png, decoding.info)};
  check_image_size(image.size.width, image.size.height, origin);
  if (!prepare_rows(decoding) || !read_pixels(decoding)) fail();
  image.orientation = read_orientation(decoding.png, decoding.info);
  return std::move(decoding.result);
}

}  // namespace mxvideo::media
