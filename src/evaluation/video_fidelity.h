// How far one video lies from another of the same size, frame by frame, on 8-bit RGB.
//
// PSNR: 10·log10(255² / MSE) over the pixels and channels of a frame; infinite when it is the same.
//
// SSIM: libavfilter's filter "ssim" on planar RGB, the mean of the three channels. Windows of 8x8
// pixels at a distance of 4, unweighted; in each, with n = 64 pixels,
//   (2·µx·µy + c1)(2·cov + c2) / ((µx² + µy² + c1)(varx + vary + c2)),
// unbiased variances (divided by n − 1), c1 = (0.01·255)²/n, c2 = (0.03·255)²; a channel's SSIM is
// the mean over its windows. (In the paper of Wang et al. c1 lacks the division by n; FFmpeg took
// it from x264. It matters where windows are nearly black.) The library gives it with six decimals.
// Pixels behind the last whole window do not count.
//
// Pure functions; thread-safe.
#pragma once

#include <vector>

#include "media/video_writer.h"

namespace mxvideo::evaluation {

struct FrameFidelity {
  double psnr_db = 0;
  double ssim = 0;
};

struct VideoFidelity {
  std::vector<FrameFidelity> frames;
  double psnr_db = 0;               // of the error of all frames together
  double mean_frame_psnr_db = 0;    // infinite when a frame's is
  double median_frame_psnr_db = 0;  // the lower one of the two in the middle
  double worst_frame_psnr_db = 0;
  double mean_ssim = 0;
  double worst_ssim = 0;
};

// Sides of at least 8 pixels, a width that is not 8 (to 11) more than a multiple of 16, as many
// frames in both. Throws Code::kInternal where FFmpeg refuses,
// Code::kOutOfMemory, Code::kUnsupported when libavfilter lacks the filter.
VideoFidelity compare_videos(const media::RgbVideo& reference, const media::RgbVideo& actual);

// VideoFidelity::psnr_db alone, for frames of any size.
double video_psnr_db(const media::RgbVideo& reference, const media::RgbVideo& actual);

}  // namespace mxvideo::evaluation
