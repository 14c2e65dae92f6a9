#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jerror.h>
#include <jpeglib.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "media/image/image_decoders.h"

namespace mxvideo::media {
namespace {

constexpr int kMaxScans = 200;  // of a progressive file; each costs a pass over the picture
constexpr int kMetadataMarker = JPEG_APP0 + 1;

struct JpegDecoding {
  jpeg_decompress_struct cinfo{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message{};
  std::vector<uint8_t> row;  // CMYK only
  DecodedImage result;

  ~JpegDecoding() { jpeg_destroy_decompress(&cinfo); }
};

JpegDecoding& decoding_of(j_common_ptr cinfo) {
  return *static_cast<JpegDecoding*>(cinfo->client_data);
}

[[noreturn]] void on_error(j_common_ptr cinfo) {
  JpegDecoding& decoding = decoding_of(cinfo);
  cinfo->err->format_message(cinfo, decoding.message.data());
  std::longjmp(decoding.jump, 1);
}

// libjpeg goes on after a warning, with grey where data are missing; here only bytes between
// segments are forgiven.
void on_message(j_common_ptr cinfo, int level) {
  if (level < 0 && cinfo->err->msg_code != JWRN_EXTRANEOUS_DATA) on_error(cinfo);
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr cinfo) {
  JpegDecoding& decoding = decoding_of(cinfo);
  if (decoding.cinfo.input_scan_number <= kMaxScans) return;
  std::snprintf(decoding.message.data(), decoding.message.size(), "more than %d scans", kMaxScans);
  std::longjmp(decoding.jump, 1);
}

// The functions with setjmp hold no object with a destructor.
bool read_header(JpegDecoding& decoding, std::span<const std::byte> bytes) {
  if (setjmp(decoding.jump) != 0) return false;
  jpeg_decompress_struct& cinfo = decoding.cinfo;
  jpeg_create_decompress(&cinfo);
  cinfo.client_data = &decoding;
  cinfo.progress = &decoding.progress;
  jpeg_save_markers(&cinfo, kMetadataMarker, 0xffff);
  jpeg_mem_src(&cinfo, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&cinfo, TRUE);
  return true;
}

// Inverted CMYK, as Adobe writes it, by Pillow's formula and rounding.
void cmyk_to_rgb(const uint8_t* cmyk, int64_t width, uint8_t* rgb) {
  for (int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int white = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - cmyk[c]) * white + 128;
      rgb[c] = static_cast<uint8_t>(white - ((product + (product >> 8)) >> 8));
    }
  }
}

bool read_pixels(JpegDecoding& decoding) {
  if (setjmp(decoding.jump) != 0) return false;
  jpeg_decompress_struct& cinfo = decoding.cinfo;
  const int64_t width = decoding.result.size.width;
  jpeg_start_decompress(&cinfo);
  while (cinfo.output_scanline < cinfo.output_height) {
    uint8_t* output = decoding.result.samples.data() + int64_t{cinfo.output_scanline} * width * 3;
    if (cinfo.output_components == 3) {
      jpeg_read_scanlines(&cinfo, &output, 1);
    } else {
      uint8_t* row = decoding.row.data();
      jpeg_read_scanlines(&cinfo, &row, 1);
      cmyk_to_rgb(row, width, output);
    }
  }
  jpeg_finish_decompress(&cinfo);
  return true;
}

// Of the first EXIF and the first XMP segment.
OrientationTags read_orientation(const jpeg_decompress_struct& cinfo) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  constexpr std::string_view kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
  OrientationTags tags;
  for (const jpeg_marker_struct* m = cinfo.marker_list; m != nullptr; m = m->next) {
    if (m->marker != kMetadataMarker) continue;
    const std::string_view text(reinterpret_cast<const char*>(m->data), m->data_length);
    if (text.starts_with(kExif) && !tags.exif) {
      tags.exif = exif_orientation(std::as_bytes(std::span(text)));
    }
    if (text.starts_with(kXmp) && !tags.xmp) tags.xmp = xmp_orientation(text.substr(kXmp.size()));
  }
  return tags;
}

}  // namespace

bool is_jpeg(std::span<const std::byte> bytes) {
  constexpr std::array<std::byte, 3> kStart = {std::byte{0xff}, std::byte{0xd8}, std::byte{0xff}};
  return bytes.size() >= kStart.size() &&
         std::memcmp(bytes.data(), kStart.data(), kStart.size()) == 0;
}

DecodedImage decode_jpeg(std::span<const std::byte> bytes, const std::string& origin) {
  JpegDecoding decoding;
  const auto fail = [&] {
    throw Error(Code::kCorruptFile,
                origin + ": not a valid JPEG image: " + decoding.message.data());
  };
  decoding.cinfo.err = jpeg_std_error(&decoding.errors);
  decoding.cinfo.client_data = &decoding;
  decoding.errors.error_exit = on_error;
  decoding.errors.emit_message = on_message;
  decoding.errors.output_message = on_output;
  decoding.progress.progress_monitor = on_progress;
  if (!read_header(decoding, bytes)) fail();

  const auto width = static_cast<int64_t>(decoding.cinfo.image_width);
  const auto height = static_cast<int64_t>(decoding.cinfo.image_height);
  check_image_size(width, height, origin);
  const J_COLOR_SPACE stored = decoding.cinfo.jpeg_color_space;
  const bool cmyk = stored == JCS_CMYK || stored == JCS_YCCK;
  decoding.cinfo.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  decoding.result.size = {.height = height, .width = width};
  decoding.result.samples.resize(static_cast<size_t>(width * height * 3));
  if (cmyk) decoding.row.resize(static_cast<size_t>(width * 4));
  decoding.result.orientation = read_orientation(decoding.cinfo);
  if (!read_pixels(decoding)) fail();
  return std::move(decoding.result);
}

}  // namespace mxvideo::media
