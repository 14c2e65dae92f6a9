// Several videos beside each other, moving and frame by frame, as pieces of HTML. Pure functions;
// thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "evaluation/scheme_comparison.h"

namespace mxvideo::evaluation {

// By how much a difference is multiplied to be seen.
inline constexpr int kDifferenceGain = 8;

// Six frames, spread evenly from the first to the last; fewer when the video is shorter.
std::vector<int64_t> sheet_frames(int64_t count);

// |reference − actual| · kDifferenceGain, at most 255.
std::vector<uint8_t> difference_picture(std::span<const uint8_t> reference,
                                        std::span<const uint8_t> actual);

// <div>: every scheme's video as an animated WebP that repeats for ever. Frames wider than 480
// pixels are made smaller.
std::string clips(const ComparisonResult& comparison);

// <table>: a column per frame, a row per scheme, and below each but the first a row of differences.
// Frames wider than 320 pixels are made smaller.
std::string contact_sheet(const ComparisonResult& comparison);

}  // namespace mxvideo::evaluation
