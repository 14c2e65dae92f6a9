#include <png.h>

#include <csetjmp>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "media/image_decoders.h"

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

bool is_grey16(const PngDecoding& decoding) {
  return png_get_color_type(decoding.png, decoding.info) == PNG_COLOR_TYPE_GRAY &&
         png_get_bit_depth(decoding.png, decoding.info) == 16;
}

// 16-bit grey saturates at 255, as Pillow's conversion of mode I;16 does; every other format keeps
// the high byte. Widens a row of 2 bytes per pixel to 3, in place.
void saturate_grey16(uint8_t* row, int64_t width) {
  for (int64_t x = width - 1; x >= 0; --x) {
    const uint8_t value = row[2 * x] != 0 ? uint8_t{255} : row[2 * x + 1];
    std::memset(row + 3 * x, value, 3);
  }
}

void choose_transformations(png_structp png, png_infop info) {
  const int type = png_get_color_type(png, info);
  const int depth = png_get_bit_depth(png, info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (depth == 16) png_set_strip_16(png);
  png_set_strip_alpha(png);
  if (type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_GRAY_ALPHA) png_set_gray_to_rgb(png);
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
  const bool grey16 = is_grey16(decoding);
  if (!grey16) choose_transformations(decoding.png, decoding.info);
  png_set_interlace_handling(decoding.png);
  png_read_update_info(decoding.png, decoding.info);
  if (png_get_rowbytes(decoding.png, decoding.info) !=
      static_cast<size_t>(decoding.result.image.size.width) * (grey16 ? 2 : 3)) {
    png_error(decoding.png, "unexpected row size");
  }
  png_read_image(decoding.png, decoding.rows.data());
  png_read_end(decoding.png, decoding.info);
  return true;
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

  pipeline::RgbImage& image = decoding.result.image;
  image.size = {.height = png_get_image_height(decoding.png, decoding.info),
                .width = png_get_image_width(decoding.png, decoding.info)};
  check_image_size(image.size.width, image.size.height, origin);
  image.pixels.resize(static_cast<size_t>(image.size.height * image.size.width * 3));
  for (int64_t y = 0; y < image.size.height; ++y) {
    decoding.rows.push_back(image.pixels.data() + y * image.size.width * 3);
  }
  if (!read_pixels(decoding)) fail();

  png_bytep exif = nullptr;
  png_uint_32 exif_bytes = 0;
  if (png_get_eXIf_1(decoding.png, decoding.info, &exif_bytes, &exif) != 0) {
    decoding.result.orientation = exif_orientation(std::as_bytes(std::span(exif, exif_bytes)));
  }
  if (is_grey16(decoding)) {
    for (png_bytep row : decoding.rows) saturate_grey16(row, image.size.width);
  }
  return std::move(decoding.result);
}

}  // namespace mxvideo::media
