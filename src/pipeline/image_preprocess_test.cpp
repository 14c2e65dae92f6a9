#include "pipeline/image_preprocess.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

#include "media/image/image_resize.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::pipeline {
namespace {

TEST(ImagePreprocess, HasTheBitsOfDiffusersVideoProcessor) {
  const test::GoldenFile golden("image/preprocess.safetensors");
  int compared = 0;
  for (const std::string& name : golden.names()) {
    if (!name.ends_with(".output")) continue;
    const std::string input = name.substr(0, name.find('.')) + ".input";
    const auto from = golden.shape(input);
    const auto to = golden.shape(name);
    const media::RgbImage image{.size = {.height = from[0], .width = from[1]},
                                .pixels = golden.u8(input)};
    const Tensor tensor =
        to_signed_tensor(media::resize(image, {to[2], to[3]}, media::ResampleFilter::kLanczos));
    EXPECT_EQ(tensor.shape(), Shape({3, to[2], to[3]}));
    const auto expected = golden.u32(name);
    const auto actual = tensor.values();
    ASSERT_EQ(actual.size(), expected.size());
    size_t different = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
      if (std::bit_cast<uint32_t>(actual[i]) != expected[i]) ++different;
    }
    EXPECT_EQ(different, 0u) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 3);
}

// Values printed by Python running the formulas of the engines.
struct SizeCase {
  media::ImageSize image;
  media::ImageSize best_720p;  // area 1280 * 704, multiple 32
  media::ImageSize best_tiny;  // area 96 * 64, multiple 32
  media::ImageSize area_720p;  // area 1280 * 720, multiple 16
  media::ImageSize area_480p;  // area 832 * 480, multiple 16
};
constexpr int64_t kArea1280x704 = int64_t{1280} * 704;
constexpr int64_t kArea96x64 = int64_t{96} * 64;
constexpr int64_t kArea1280x720 = int64_t{1280} * 720;
constexpr int64_t kArea832x480 = int64_t{832} * 480;
const SizeCase kSizeCases[] = {
    {{704, 1280}, {704, 1280}, {64, 96}, {704, 1280}, {464, 848}},
    {{1280, 704}, {1280, 704}, {96, 64}, {1280, 704}, {848, 464}},
    {{1080, 1920}, {704, 1248}, {64, 96}, {720, 1280}, {464, 832}},
    {{1920, 1080}, {1248, 704}, {96, 64}, {1280, 720}, {832, 464}},
    {{480, 640}, {800, 1088}, {64, 96}, {816, 1104}, {544, 720}},
    {{777, 333}, {1440, 608}, {96, 64}, {1456, 624}, {960, 400}},
    {{1000, 1000}, {928, 960}, {64, 96}, {960, 960}, {624, 624}},
    {{700, 3000}, {448, 1952}, {32, 160}, {464, 1984}, {304, 1296}},
    {{70, 50}, {1120, 800}, {96, 64}, {1136, 800}, {736, 528}},
    {{3001, 4001}, {800, 1088}, {64, 96}, {816, 1104}, {544, 720}},
};

TEST(ImagePreprocess, SizesOfTheEngines) {
  for (const SizeCase& c : kSizeCases) {
    EXPECT_EQ(best_output_size(c.image, kArea1280x704, 32), c.best_720p);
    EXPECT_EQ(best_output_size(c.image, kArea96x64, 32), c.best_tiny);
    EXPECT_EQ(size_from_area(c.image, kArea1280x720, 16), c.area_720p);
    EXPECT_EQ(size_from_area(c.image, kArea832x480, 16), c.area_480p);
  }
}

TEST(ImagePreprocess, RefusesImagesThatFitNoSize) {
  const auto code = [](const std::function<void()>& action) {
    return test::expect_error(action).code();
  };
  EXPECT_EQ(code([] { best_output_size({1, 30000}, kArea1280x704, 32); }), Code::kInvalidArgument);
  EXPECT_EQ(code([] { best_output_size({30000, 1}, kArea1280x704, 32); }), Code::kInvalidArgument);
  EXPECT_EQ(code([] { size_from_area({1, 30000}, kArea1280x704, 16); }), Code::kInvalidArgument);
  const media::RgbImage strip{.size = {.height = 1, .width = 1000},
                              .pixels = std::vector<uint8_t>(3000)};
  EXPECT_EQ(code([&] { cover_and_crop(strip, {64, 64}); }), Code::kInvalidArgument);
}

media::RgbImage formula_image(media::ImageSize size) {
  media::RgbImage image{.size = size, .pixels = {}};
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        image.pixels.push_back(static_cast<uint8_t>(x * 7 + y * 13 + c * 101 + (x * y) % 31));
      }
    }
  }
  return image;
}

// CRC-32 of what Pillow's resize and crop made of the same image.
TEST(ImagePreprocess, CoverAndCropHasPillowsBytes) {
  struct Case {
    media::ImageSize image, target;
    uint32_t crc;
  };
  for (const Case& c :
       {Case{{61, 97}, {32, 64}, 0x60760a51u}, Case{{97, 61}, {32, 64}, 0x6b60e624u},
        Case{{20, 30}, {64, 96}, 0x23ff0dbdu}, Case{{64, 96}, {64, 96}, 0x46e2906bu},
        Case{{33, 200}, {32, 32}, 0x83b1511cu}}) {
    const media::RgbImage result = cover_and_crop(formula_image(c.image), c.target);
    EXPECT_EQ(result.size, c.target);
    EXPECT_EQ(test::crc32(result.pixels), c.crc);
  }
}

// The same, pasted into the centre of a picture of the padding's colour.
TEST(ImagePreprocess, ContainAndPadHasPillowsBytes) {
  struct Case {
    media::ImageSize image, target;
    uint32_t crc;
  };
  constexpr media::RgbColor kPadding = {200, 100, 50};
  for (const Case& c :
       {Case{{61, 97}, {32, 64}, 0x4997b04bu}, Case{{97, 61}, {32, 64}, 0x381943dcu},
        Case{{20, 30}, {64, 96}, 0x23ff0dbdu}, Case{{64, 96}, {64, 96}, 0x46e2906bu},
        Case{{33, 200}, {32, 32}, 0xa15d460cu}, Case{{1, 1000}, {64, 64}, 0xe419b339u},
        Case{{50, 7}, {33, 31}, 0xbe5e90e3u}}) {
    const media::RgbImage result = contain_and_pad(formula_image(c.image), c.target, kPadding);
    EXPECT_EQ(result.size, c.target);
    EXPECT_EQ(test::crc32(result.pixels), c.crc) << c.image.width << "x" << c.image.height;
  }
}

TEST(ImagePreprocess, FitsByTheWordsOfCss) {
  const media::RgbImage image = formula_image({61, 97});
  const media::ImageSize target{32, 64};
  const auto fitted = [&](const char* name) {
    return fit_image(image, target, parse_image_fit(name), {1, 2, 3}).pixels;
  };
  EXPECT_EQ(fitted("stretch"),
            media::resize(image, target, media::ResampleFilter::kLanczos).pixels);
  EXPECT_EQ(fitted("cover"), cover_and_crop(image, target).pixels);
  EXPECT_EQ(fitted("contain"), contain_and_pad(image, target, {1, 2, 3}).pixels);
  EXPECT_EQ(test::expect_error([] { parse_image_fit("fill"); }).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace mxvideo::pipeline
