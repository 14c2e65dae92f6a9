#include "media/image_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "media/image_decoders.h"
#include "media/image_reader_test_data.h"
#include "support/test_support.h"

namespace mxvideo::media {
namespace {

std::string from_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int held = 0;
  for (char c : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<uint32_t>(kAlphabet.find(c));
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push_back(static_cast<char>(bits >> held & 0xff));
  }
  return bytes;
}

std::string file_named(std::string_view name) {
  for (const EncodedImage& image : kEncodedImages) {
    if (image.name == name) return from_base64(image.base64);
  }
  ADD_FAILURE() << "no test image " << name;
  return "";
}

pipeline::RgbImage decode(const std::string& file, const std::string& origin = "test") {
  return decode_image(std::as_bytes(std::span(file)), origin);
}

Code decode_error(const std::string& file) {
  return test::expect_error([&] { decode(file); }).code();
}

TEST(ImageReader, DecodesToPillowsBytes) {
  for (const EncodedImage& expected : kEncodedImages) {
    const pipeline::RgbImage image = decode(from_base64(expected.base64), expected.name);
    EXPECT_EQ(image.size.height, expected.size.height) << expected.name;
    EXPECT_EQ(image.size.width, expected.size.width) << expected.name;
    EXPECT_EQ(test::crc32(image.pixels), expected.crc) << expected.name;
  }
}

TEST(ImageReader, GoesByContentNotByExtension) {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "really_a_jpeg.png";
  write_file_atomically(path, file_named("rgb.jpg"));
  EXPECT_EQ(read_image(path).pixels, decode(file_named("rgb.jpg")).pixels);
  EXPECT_EQ(test::expect_error([&] { read_image(directory.path() / "absent.png"); }).code(),
            Code::kNotFound);
}

// Every proper prefix of a file is an error, down to nothing at all.
TEST(ImageReader, RefusesTruncatedFiles) {
  for (const char* name : {"rgb.png", "palette.png", "rgb.jpg", "progressive.jpg", "cmyk.jpg",
                           "lossless.webp", "lossy.webp", "rotated.webp"}) {
    const std::string file = file_named(name);
    for (size_t length = 0; length < file.size(); ++length) {
      // The EXIF chunk of a WebP file comes after the picture and is a hint.
      if (std::string_view(name) == "rotated.webp" && length > 76) break;
      const Error error = test::expect_error([&] { decode(file.substr(0, length)); });
      EXPECT_TRUE(error.code() == Code::kCorruptFile || error.code() == Code::kUnsupported)
          << name << " " << length << " " << error.what();
    }
  }
}

void expect_whole_image_or_error(const std::string& file) {
  try {
    const pipeline::RgbImage result = decode(file);
    ASSERT_EQ(static_cast<int64_t>(result.pixels.size()),
              result.size.height * result.size.width * 3);
  } catch (const Error& error) {
    ASSERT_NE(error.code(), Code::kInternal) << error.what();
  }
}

// No mutation of one byte crashes, hangs or returns an image without its pixels.
TEST(ImageReader, SurvivesDamage) {
  for (const EncodedImage& image : kEncodedImages) {
    const std::string file = from_base64(image.base64);
    for (size_t i = 0; i < file.size(); ++i) {
      for (int flip : {0x01, 0x80, 0xff}) {
        std::string damaged = file;
        damaged[i] = static_cast<char>(damaged[i] ^ flip);
        expect_whole_image_or_error(damaged);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(ImageReader, RefusesHugeImagesFromTheHeaderAlone) {
  // IHDR and SOF0 with 30000 x 30000 pixels and nothing behind them.
  const std::string png = std::string(
                              "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x75\x30\0\0\x75\x30"
                              "\x08\x02\0\0\0\x97\xbb\x6a\x4a",
                              33) +
                          std::string("\0\0\0\x01IDAT\0", 9);
  std::string jpeg = file_named("rgb.jpg");
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\x75\x30\x75\x30");
  EXPECT_EQ(decode_error(jpeg), Code::kUnsupported);
  EXPECT_EQ(test::expect_error([] { check_image_size(8000, 5001, "x"); }).code(),
            Code::kUnsupported);
  EXPECT_EQ(test::expect_error([] { check_image_size(40000, 1, "x"); }).code(), Code::kUnsupported);
  EXPECT_EQ(test::expect_error([] { check_image_size(0, 5, "x"); }).code(), Code::kCorruptFile);
  EXPECT_NO_THROW(check_image_size(8000, 5000, "x"));
  EXPECT_NE(decode_error(png), Code::kInternal);
}

TEST(ImageReader, RefusesOtherFormatsAndAnimations) {
  EXPECT_EQ(decode_error("GIF89a and more"), Code::kUnsupported);
  EXPECT_EQ(decode_error(""), Code::kUnsupported);
  EXPECT_EQ(decode_error(from_base64(kAnimatedWebp)), Code::kUnsupported);
}

TEST(ImageReader, UnreadableExifMeansUpright) {
  const auto orientation = [](std::string_view text) {
    return exif_orientation(std::as_bytes(std::span(text)));
  };
  using std::string_view_literals::operator""sv;
  constexpr auto kLittle = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"sv;
  constexpr auto kBig = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"sv;
  EXPECT_EQ(orientation(kLittle), 6);
  EXPECT_EQ(orientation(kBig), 6);
  EXPECT_EQ(orientation("Exif\0\0"sv), 1);
  EXPECT_EQ(orientation(""sv), 1);
  EXPECT_EQ(orientation(kLittle.substr(0, 17)), 1);
  EXPECT_EQ(orientation("II*\0\xff\xff\xff\xff"sv), 1);
}

}  // namespace
}  // namespace mxvideo::media
