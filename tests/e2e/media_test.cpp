// The pictures that go in and the files that come out, as a user meets them.
#include <string>

#include "e2e/cli_fixture.h"
#include "media/image/image_reader_test_data.h"

namespace mxvideo::test {
namespace {

constexpr int kInvalidArgumentStatus = 2;

class MediaTest : public CliTest {
 protected:
  std::string file_of(const std::string& name, const std::string& content) const {
    const auto path = scratch() / name;
    write_text(path, content);
    return path.string();
  }
  // One of the files of image_reader_test_data.h.
  std::string image(const std::string& name) const {
    return file_of(name, media::encoded_image(name));
  }
  nlohmann::json report() const { return read_json(work() / "r.json"); }
};

bool has_notice(const nlohmann::json& report, const std::string& fragment) {
  for (const auto& notice : report["notices"]) {
    if (notice.get<std::string>().find(fragment) != std::string::npos) return true;
  }
  return false;
}

TEST_F(MediaTest, TransparentImageShowsTheBackgroundAndARunSaysSo) {
  const std::string path = image("rgba.png");
  const auto video_on = [&](const Arguments& extra) {
    Arguments arguments = {"--image-path", path,     "-o",         "v.y4m",
                           "--report",     "r.json", "--overwrite"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    const ProcessResult result = run(generate("ti2v-5b", arguments));
    expect_success(result);
    EXPECT_NE(result.err.find(path + ": transparent parts show the background"), std::string::npos)
        << result.err;
    const std::string video = read_text(work() / "v.y4m");
    std::filesystem::remove(work() / "v.y4m");
    return video;
  };
  const std::string black = video_on({});
  EXPECT_TRUE(has_notice(report(), "show the background, #000000")) << report()["notices"];
  std::filesystem::remove(work() / "r.json");
  const std::string white = video_on({"--background", "white"});
  EXPECT_TRUE(has_notice(report(), "show the background, #ffffff")) << report()["notices"];
  EXPECT_NE(black, white);
}

TEST_F(MediaTest, BackgroundThatChangesNothingIsSaidOrRefused) {
  expect_success(run(generate("ti2v-5b", {"--image-path", picture(), "-o", "v.y4m", "--background",
                                          "red", "--report", "r.json", "--overwrite"})));
  EXPECT_TRUE(has_notice(report(), "--background changes nothing")) << report()["notices"];
  std::filesystem::remove(work() / "r.json");
  std::filesystem::remove(work() / "v.y4m");
  expect_failure(run(generate("ti2v-5b", {"-o", "v.y4m", "--background", "red"})),
                 kInvalidArgumentStatus, "--background is about an image");
  expect_failure(run(generate("ti2v-5b", {"--image-path", picture(), "-o", "v.y4m", "--background",
                                          "transparent-ish"})),
                 kInvalidArgumentStatus, "--background: expected an opaque colour");
}

// 64x48 in a video of 64x64.
TEST_F(MediaTest, FitIsAskedForAndTheRecipeSaysWhich) {
  const auto video_by = [&](const Arguments& extra, const std::string& fit, bool noticed) {
    Arguments arguments = {"--image-path", picture(),  "--size", "64x64",      "-o",
                           "v.y4m",        "--report", "r.json", "--overwrite"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    expect_success(run(generate("ti2v-5b", arguments)));
    EXPECT_EQ(report()["image_fit"], fit);
    EXPECT_EQ(has_notice(report(), "is stretched to 64x64; fit it by cover or contain, or"),
              noticed)
        << report()["notices"];
    const std::string video = read_text(work() / "v.y4m");
    std::filesystem::remove(work() / "v.y4m");
    std::filesystem::remove(work() / "r.json");
    return video;
  };
  const std::string stretched = video_by({}, "stretch", true);
  EXPECT_EQ(video_by({"--fit", "stretch"}, "stretch", false), stretched);
  const std::string cut = video_by({"--fit", "cover"}, "cover", false);
  const std::string padded = video_by({"--fit", "contain"}, "contain", false);
  EXPECT_NE(cut, stretched);
  EXPECT_NE(padded, stretched);
  EXPECT_NE(padded, cut);
  EXPECT_NE(video_by({"--fit", "contain", "--background", "white"}, "contain", false), padded);
  expect_failure(run(generate("ti2v-5b", {"-o", "v.y4m", "--fit", "cover"})),
                 kInvalidArgumentStatus, "--fit is about an image");
}

TEST_F(MediaTest, NoPictureIsNamedWithTheWayOn) {
  const auto refused = [&](const std::string& name, const std::string& content,
                           const std::string& fragment) {
    expect_failure(run(generate("ti2v-5b", {"-i", file_of(name, content), "-o", "v.mp4"})),
                   kInvalidArgumentStatus, fragment);
  };
  refused("a.png", "GIF89a",
          "a.png: expected a PNG, JPEG, WebP, AVIF or HEIC image, got a GIF image; ");
  refused("b.png", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull");
}

TEST_F(MediaTest, RecipeHoldsTheHashOfTheImageFile) {
  expect_success(run(generate(
      "i2v-a14b", {"--image-path", image("grey.png"), "-o", "v.mp4", "--report", "r.json"})));
  // sha256sum of the file.
  EXPECT_EQ(report()["image"]["sha256"],
            "1431680975443d4d8f7d521390a94ae232641911604831f8ed9cc57213c3c63b");
  EXPECT_FALSE(report()["last_image"].contains("sha256"));
}

TEST_F(MediaTest, CodecAndQualityAreChosenByFfmpegsNamesAndReported) {
  expect_success(
      run(generate("ti2v-5b", {"-o", "v.mkv", "--codec", "ffv1", "--report", "r.json"})));
  EXPECT_TRUE(read_text(work() / "v.mkv").starts_with("\x1a\x45\xdf\xa3"));
  const nlohmann::json lossless = {
      {"container", "mkv"}, {"codec", "ffv1"}, {"pixel_format", "bgr0"}};
  EXPECT_EQ(report()["encoding"], lossless);
  std::filesystem::remove(work() / "r.json");
  std::filesystem::remove(work() / "v.mkv");
  expect_success(run(generate("ti2v-5b", {"-o", "v.MP4", "--crf", "12", "--preset", "veryfast",
                                          "--pix-fmt", "yuv420p10le", "--report", "r.json"})));
  const nlohmann::json deep = {{"container", "mp4"},
                               {"codec", "libx264"},
                               {"pixel_format", "yuv420p10le"},
                               {"crf", 12.0},
                               {"preset", "veryfast"}};
  EXPECT_EQ(report()["encoding"], deep);
}

TEST_F(MediaTest, WhatDoesNotGoTogetherIsRefusedBeforeTheWork) {
  const auto refused = [&](const Arguments& extra, const std::string& fragment) {
    expect_failure(run(generate("ti2v-5b", extra)), kInvalidArgumentStatus, fragment);
  };
  refused({"-o", "v.mp4", "--codec", "ffv1"}, "ffv1 does not go into .mp4");
  refused({"-o", "v.webm", "--preset", "slow"}, "libvpx-vp9 has no presets");
  refused({"-o", "v.mp4", "--crf", "60"}, "crf of libx264: expected 0 to 51, got 60");
  refused({"-o", "v.webp", "--crf", "20"}, "--codec, --crf, --preset and --pix-fmt are for mp4");
  refused({"-o", "v.avi"}, "expected a name ending in .mp4, .mov, .mkv, .webm,");
}

TEST_F(MediaTest, Y4mSaysThatItHoldsNoRecipe) {
  const ProcessResult result = run(generate("ti2v-5b", {"-o", "v.y4m"}));
  expect_success(result);
  EXPECT_NE(result.err.find("y4m has no room for the recipe"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace mxvideo::test
