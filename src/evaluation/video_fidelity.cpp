#include "evaluation/video_fidelity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "base/error.h"
#include "base/median.h"
#include "evaluation/ssim_filter.h"

namespace mxvideo::evaluation {
namespace {

void check_same_frames(const media::RgbVideo& a, const media::RgbVideo& b) {
  check(a.frames == b.frames && a.size == b.size && b.frames > 0,
        "both videos have the same frames");
}

int64_t squared_error(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  int64_t sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const int64_t difference = int64_t{a[i]} - int64_t{b[i]};
    sum += difference * difference;
  }
  return sum;
}

double psnr_db(int64_t squared_error, size_t values) {
  if (squared_error == 0) return std::numeric_limits<double>::infinity();
  constexpr double kPeak = 255;
  return 10 * std::log10(kPeak * kPeak * static_cast<double>(values) /
                         static_cast<double>(squared_error));
}

}  // namespace

VideoFidelity compare_videos(const media::RgbVideo& reference, const media::RgbVideo& actual) {
  constexpr int64_t kWindow = 8;
  check_same_frames(reference, actual);
  check(actual.size.width >= kWindow && actual.size.height >= kWindow,
        "a frame holds a window of SSIM");
  // FFmpeg 5.1's vector code takes the last of 4n + 1 windows of a row for equal.
  check((actual.size.width / 4 - 1) % 4 != 1, "a width for which FFmpeg's SSIM is right");
  VideoFidelity result;
  SsimFilter filter(actual.size);
  int64_t total = 0;
  std::vector<double> frame_psnr;
  for (int64_t i = 0; i < actual.frames; ++i) {
    const auto a = reference.frame(i), b = actual.frame(i);
    const int64_t error = squared_error(a, b);
    total += error;
    result.frames.push_back({.psnr_db = psnr_db(error, a.size()), .ssim = filter.ssim(a, b)});
    frame_psnr.push_back(result.frames.back().psnr_db);
  }
  const auto count = static_cast<double>(actual.frames);
  result.worst_ssim = 1;
  for (const FrameFidelity& frame : result.frames) {
    result.mean_frame_psnr_db += frame.psnr_db / count;
    result.mean_ssim += frame.ssim / count;
    result.worst_ssim = std::min(result.worst_ssim, frame.ssim);
  }
  result.psnr_db = psnr_db(total, actual.pixels.size());
  result.median_frame_psnr_db = lower_median(frame_psnr);
  result.worst_frame_psnr_db = std::ranges::min(frame_psnr);
  return result;
}

double video_psnr_db(const media::RgbVideo& reference, const media::RgbVideo& actual) {
  check_same_frames(reference, actual);
  return psnr_db(squared_error(reference.pixels, actual.pixels), actual.pixels.size());
}

}  // namespace mxvideo::evaluation
