#include "evaluation/video_fidelity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/golden_file.h"

namespace mxvideo::evaluation {
namespace {

using media::RgbVideo;
using test::GoldenFile;

RgbVideo golden_video(const GoldenFile& golden, const std::string& name) {
  const std::vector<int64_t> shape = golden.shape(name);
  return {.frames = shape[0],
          .size = {.height = shape[1], .width = shape[2]},
          .pixels = golden.u8(name)};
}

RgbVideo gray_video(int64_t frames, uint8_t value) {
  return {.frames = frames,
          .size = {.height = 16, .width = 32},
          .pixels = std::vector<uint8_t>(static_cast<size_t>(frames * 16 * 32 * 3), value)};
}

TEST(VideoFidelity, AgreesWithNumPy) {
  const GoldenFile golden("fidelity/frames.safetensors");
  const VideoFidelity result =
      compare_videos(golden_video(golden, "reference"), golden_video(golden, "actual"));
  const std::vector<double> psnr = golden.f64("psnr_db"), ssim = golden.f64("ssim");
  ASSERT_EQ(result.frames.size(), psnr.size());
  double psnr_sum = 0, ssim_sum = 0, worst_psnr = psnr[0], worst_ssim = ssim[0];
  for (size_t i = 0; i < psnr.size(); ++i) {
    EXPECT_NEAR(result.frames[i].psnr_db, psnr[i], 1e-9) << i;
    // Six decimals of a mean of fp32 terms.
    EXPECT_NEAR(result.frames[i].ssim, ssim[i], 2e-6) << i;
    psnr_sum += psnr[i];
    ssim_sum += ssim[i];
    worst_psnr = std::min(worst_psnr, psnr[i]);
    worst_ssim = std::min(worst_ssim, ssim[i]);
  }
  const auto count = static_cast<double>(psnr.size());
  EXPECT_NEAR(result.psnr_db, golden.f64("video_psnr_db")[0], 1e-9);
  EXPECT_NEAR(result.mean_frame_psnr_db, psnr_sum / count, 1e-9);
  EXPECT_NEAR(result.worst_frame_psnr_db, worst_psnr, 1e-9);
  EXPECT_NEAR(result.mean_ssim, ssim_sum / count, 2e-6);
  EXPECT_NEAR(result.worst_ssim, worst_ssim, 2e-6);
}

TEST(VideoFidelity, ChannelsCountAlike) {
  const RgbVideo reference = gray_video(1, 100);
  for (size_t channel = 0; channel < 3; ++channel) {
    RgbVideo actual = reference;
    for (size_t i = channel; i < actual.pixels.size(); i += 3) actual.pixels[i] = 103;
    const VideoFidelity result = compare_videos(reference, actual);
    EXPECT_NEAR(result.psnr_db, 10 * std::log10(255.0 * 255.0 / 3.0), 1e-12) << channel;
    // A constant channel: (2·100·103 + c1) / (100² + 103² + c1), the other two are equal.
    const double c1 = 0.01 * 255 * 0.01 * 255 / 64;
    const double luminance = (2 * 100 * 103 + c1) / (100 * 100 + 103 * 103 + c1);
    EXPECT_NEAR(result.mean_ssim, (2 + luminance) / 3, 2e-6) << channel;
  }
}

TEST(VideoFidelity, TheSameVideoHasInfinitePsnr) {
  const VideoFidelity result = compare_videos(gray_video(3, 7), gray_video(3, 7));
  EXPECT_EQ(result.psnr_db, std::numeric_limits<double>::infinity());
  EXPECT_EQ(result.mean_frame_psnr_db, std::numeric_limits<double>::infinity());
  EXPECT_EQ(result.worst_frame_psnr_db, std::numeric_limits<double>::infinity());
  EXPECT_EQ(result.mean_ssim, 1);
  EXPECT_EQ(result.frames.size(), 3u);
}

TEST(VideoFidelity, MedianIsTheLowerMiddle) {
  const RgbVideo reference = gray_video(4, 100);
  RgbVideo actual = reference;
  const size_t frame = actual.pixels.size() / 4;
  for (size_t i = 0; i < 4; ++i) {
    const auto error = static_cast<uint8_t>(std::vector<int>{8, 1, 4, 2}[i]);
    std::fill_n(actual.pixels.begin() + static_cast<int64_t>(i * frame), frame,
                static_cast<uint8_t>(100 + error));
  }
  const VideoFidelity result = compare_videos(reference, actual);
  EXPECT_NEAR(result.median_frame_psnr_db, 20 * std::log10(255.0 / 4), 1e-9);
  EXPECT_NEAR(result.worst_frame_psnr_db, 20 * std::log10(255.0 / 8), 1e-9);
  EXPECT_NEAR(result.psnr_db, 10 * std::log10(255.0 * 255 * 4 / (64 + 1 + 16 + 4)), 1e-9);
  EXPECT_EQ(video_psnr_db(reference, actual), result.psnr_db);
}

}  // namespace
}  // namespace mxvideo::evaluation
