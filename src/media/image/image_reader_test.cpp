#include "media/image/image_reader.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/file/atomic_file.h"
#include "base/system/memory_usage.h"
#include "media/image/heif_test_data.h"
#include "media/image/image_decoders.h"
#include "media/image/image_reader_test_data.h"
#include "support/test_support.h"

namespace mxvideo::media {
namespace {

std::string file_named(std::string_view name) {
  std::string file = encoded_image(name);
  EXPECT_FALSE(file.empty()) << "no test image " << name;
  return file;
}

RgbImage decode(const std::string& file, const std::string& origin = "test") {
  return decode_image(std::as_bytes(std::span(file)), origin).image;
}

Code decode_error(const std::string& file) {
  return test::expect_error([&] { decode(file); }).code();
}

TEST(ImageReader, DecodesToPillowsBytes) {
  for (const EncodedImage& expected : kEncodedImages) {
    const RgbImage image = decode(from_base64(expected.base64), expected.name);
    EXPECT_EQ(image.size.height, expected.size.height) << expected.name;
    EXPECT_EQ(image.size.width, expected.size.width) << expected.name;
    EXPECT_EQ(test::crc32(image.pixels), expected.crc) << expected.name;
  }
}

std::string patch_file(std::string_view name) {
  for (const PatchImage& image : kPatchImages) {
    if (image.name == name) return from_base64(image.base64);
  }
  ADD_FAILURE() << "no test image " << name;
  return "";
}

RgbColor pixel(const RgbImage& image, int64_t y, int64_t x) {
  const auto* rgb = image.pixels.data() + (y * image.size.width + x) * 3;
  return {rgb[0], rgb[1], rgb[2]};
}

// Sizes, colours and turns of AVIF and HEIC, of 4:2:0, 4:4:4, 10 bits and alpha.
TEST(ImageReader, DecodesAvifAndHeicToTheColoursThatWereDrawn) {
  constexpr int kMostOff = 5;  // levels; lossy, and 4:2:0 in limited range
  for (const PatchImage& expected : kPatchImages) {
    const RgbImage image = decode(from_base64(expected.base64), expected.name);
    ASSERT_EQ(image.size.height, expected.size.height) << expected.name;
    ASSERT_EQ(image.size.width, expected.size.width) << expected.name;
    for (size_t i = 0; i < 4; ++i) {
      const auto side = [](int64_t length, bool second) { return length * (second ? 3 : 1) / 4; };
      const RgbColor color =
          pixel(image, side(image.size.height, i >= 2), side(image.size.width, i % 2 == 1));
      for (size_t c = 0; c < 3; ++c) {
        EXPECT_NEAR(color[c], expected.colors[i][c], kMostOff)
            << expected.name << ", quarter " << i << ", channel " << c;
      }
    }
  }
}

std::string inflate(const DeflatedFile& deflated) {
  const std::string compressed = from_base64(deflated.base64);
  std::string file(deflated.bytes, '\0');
  uLongf bytes = file.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(file.data()), &bytes,
                       reinterpret_cast<const Bytef*>(compressed.data()), compressed.size()),
            Z_OK);
  return file;
}

// The size that the container states, in its box ispe: 8 bytes of name and flags, width, height.
std::string with_stated_size(std::string file, uint8_t side) {
  const size_t box = file.find("ispe");
  EXPECT_NE(box, std::string::npos);
  for (size_t i = 0; i < 8; ++i) file[box + 8 + i] = static_cast<char>(i % 4 == 3 ? side : 0);
  return file;
}

// The statement of a small size does not let a large picture through to the decoder.
TEST(ImageReader, RefusesHugeAvifAndHeicWhateverTheyState) {
  for (const DeflatedFile& deflated : {kHugeAvif, kHugeHeic}) {
    const std::string file = inflate(deflated);
    EXPECT_EQ(decode_error(file), Code::kUnsupported);
    reset_peak_resident_bytes();
    const int64_t before = peak_resident_bytes();
    const Code code = decode_error(with_stated_size(file, 64));
    EXPECT_TRUE(code == Code::kUnsupported || code == Code::kCorruptFile);
    EXPECT_LT(peak_resident_bytes() - before, int64_t{40} << 20) << "9000 * 5000 bytes are more";
  }
}

TEST(ImageReader, GoesByContentNotByExtension) {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "really_a_jpeg.png";
  write_file_atomically(path, file_named("rgb.jpg"));
  EXPECT_EQ(read_image(path).image.pixels, decode(file_named("rgb.jpg")).pixels);
  EXPECT_EQ(test::expect_error([&] { read_image(directory.path() / "absent.png"); }).code(),
            Code::kNotFound);
}

// Every proper prefix of a file is an error, down to nothing at all.
TEST(ImageReader, RefusesTruncatedFiles) {
  for (const char* name :
       {"rgb.png", "palette.png", "rgb.jpg", "progressive.jpg", "cmyk.jpg", "lossless.webp",
        "lossy.webp", "rotated.webp", "420.avif", "alpha.avif", "420.heic", "alpha.heic"}) {
    const bool patches = std::string_view(name).find("vif") != std::string_view::npos ||
                         std::string_view(name).find("heic") != std::string_view::npos;
    const std::string file = patches ? patch_file(name) : file_named(name);
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
    const RgbImage result = decode(file);
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

TEST(ImageReader, TransparentPartsShowTheBackgroundAndAreSaid) {
  constexpr RgbColor kWhite = {255, 255, 255};
  for (const ComposedImage& expected : kOnWhite) {
    const std::string file = file_named(expected.name);
    const InputImage input = decode_image(std::as_bytes(std::span(file)), "photo", kWhite);
    EXPECT_EQ(test::crc32(input.image.pixels), expected.crc) << expected.name;
    const bool opaque = test::crc32(decode(file).pixels) == expected.crc;
    EXPECT_EQ(opaque, expected.opaque) << expected.name;
    EXPECT_EQ(input.transparent, !opaque) << expected.name;
    const std::vector<std::string> notices = {
        "photo: transparent parts show the background, #ffffff"};
    EXPECT_EQ(input.notices, opaque ? std::vector<std::string>() : notices) << expected.name;
  }
}

TEST(ImageReader, ColoursByNameOrNumber) {
  EXPECT_EQ(parse_color("white"), (RgbColor{255, 255, 255}));
  EXPECT_EQ(parse_color("#0a80FF"), (RgbColor{10, 128, 255}));
  EXPECT_EQ(color_text(parse_color("#0a80FF")), "#0a80ff");
  for (const char* text : {"", "whitish", "random", "bikeshed", "#12345", "red@0.5", "#11223344"}) {
    EXPECT_EQ(test::expect_error([&] { parse_color(text); }).code(), Code::kInvalidArgument)
        << text;
  }
}

TEST(ImageReader, HashesTheBytesOfTheFile) {
  const std::string file = file_named("grey.png");
  EXPECT_EQ(decode_image(std::as_bytes(std::span(file)), "x").sha256,
            "1431680975443d4d8f7d521390a94ae232641911604831f8ed9cc57213c3c63b");  // sha256sum
}

TEST(ImageReader, RefusesAnimations) {
  EXPECT_EQ(decode_error(from_base64(kAnimatedWebp)), Code::kUnsupported);
}

// What people give as a picture, by the beginnings of such files.
TEST(ImageReader, NamesWhatIsNoPictureItReadsAndTheWayOn) {
  using std::string_view_literals::operator""sv;
  struct Case {
    std::string_view file, name, way_on;
  };
  const Case cases[] = {
      {"GIF89a\x01\0\x01\0"sv, "a GIF image", "ffmpeg -i"},
      {"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0"sv, "a BMP image", "ffmpeg -i"},
      {"II*\0\x08\0\0\0"sv, "a TIFF image", "ffmpeg -i"},
      {"MM\0*\0\0\0\x08"sv, "a TIFF image", "ffmpeg -i"},
      {"\0\0\0\x20"
       "ftypisom\0\0\2\0isomiso2avc1mp41"sv,
       "an MP4 video", "one frame"},
      {"\0\0\0\x14"
       "ftypqt  \0\0\2\0qt  "sv,
       "a QuickTime video", "one frame"},
      {"\x1a\x45\xdf\xa3\x9f\x42\x86\x81"sv, "a Matroska or WebM video", "one frame"},
      {"RIFF\x24\0\0\0AVI LIST"sv, "an AVI video", "one frame"},
      {"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"sv, "an SVG drawing", "render it"},
      {"<?xml version=\"1.0\"?>\n<!-- x -->\n<svg/>"sv, "an SVG drawing", "render it"},
      {"%PDF-1.7\n"sv, "a PDF document", "pdftoppm"},
      {"\n <!DOCTYPE html><html><head>"sv, "a web page (HTML)", "download"},
      {"<HTML><BODY>404"sv, "a web page (HTML)", "download"},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied"sv, "an XML document", "download"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"sv,
       "a Git LFS pointer, not the file itself", "git lfs pull"},
      {"PK\x03\x04\x14\0"sv, "a ZIP archive", "unpack"},
      {"{\"detail\": \"not found\"}"sv, "JSON text", "download"},
      {"\xff\x0a\xfa\x1f"sv, "a JPEG XL image", "djxl"},
      {"\0\0\0\x0cjP  \r\n\x87\n"sv, "a JPEG 2000 image", "ffmpeg -i"},
      {"8BPS\0\x01"sv, "a Photoshop document", "export"},
      {"\0\0\0\0\0\0\0\0"sv, "zeros only", "fetch it again"},
      {"a cat on a table\n"sv, "text", "path of a picture"},
      {""sv, "an empty file", "download"},
      {"\x01\x02\x03\xfe"sv, "an unknown format", "PNG"}};
  for (const Case& c : cases) {
    const Error error = test::expect_error([&] { decode(std::string(c.file), "in.png"); });
    EXPECT_EQ(error.code(), Code::kUnsupported) << c.name;
    const std::string message = error.what();
    EXPECT_NE(message.find("in.png: expected a PNG, JPEG, WebP, AVIF or HEIC image, got " +
                           std::string(c.name) + "; "),
              std::string::npos)
        << message;
    EXPECT_NE(message.find(c.way_on), std::string::npos) << message;
  }
}

TEST(ImageReader, UnreadableExifSaysNothing) {
  const auto orientation = [](std::string_view text) {
    return exif_orientation(std::as_bytes(std::span(text)));
  };
  using std::string_view_literals::operator""sv;
  constexpr auto kLittle = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"sv;
  constexpr auto kBig = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"sv;
  EXPECT_EQ(orientation(kLittle), 6);
  EXPECT_EQ(orientation(kBig), 6);
  EXPECT_EQ(orientation("Exif\0\0"sv), std::nullopt);
  EXPECT_EQ(orientation(""sv), std::nullopt);
  EXPECT_EQ(orientation(kLittle.substr(0, 17)), std::nullopt);
  EXPECT_EQ(orientation("II*\0\xff\xff\xff\xff"sv), std::nullopt);
}

}  // namespace
}  // namespace mxvideo::media
