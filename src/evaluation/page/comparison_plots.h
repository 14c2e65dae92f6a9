// The plots of a comparison. Pure functions; thread-safe.
#pragma once

#include <vector>

#include "evaluation/page/plot.h"
#include "evaluation/scheme_comparison.h"

namespace mxvideo::evaluation {

// SQNR of weights and of outputs by layer.
std::vector<Plot> layer_plots(const ComparisonResult& comparison);
// Latents by step: SQNR, and cosine as its distance from 1.
std::vector<Plot> latent_plots(const ComparisonResult& comparison);
// PSNR and SSIM by frame.
std::vector<Plot> video_plots(const ComparisonResult& comparison);
// Small ones: seconds per step and in all, peak memory, weights.
std::vector<Plot> cost_plots(const ComparisonResult& comparison);

}  // namespace mxvideo::evaluation
