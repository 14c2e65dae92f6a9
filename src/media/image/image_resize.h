// Resampling with the bytes of Pillow 13's Image.resize() on RGB images: separable convolution,
// coefficients rounded to 22 fractional bits, each pass rounded to a byte. The horizontal pass
// comes first unless the height loses more than twice as many rows as the width loses columns
// (older versions of Pillow always start with it; a byte then differs by one here and there). When
// an image shrinks, the filter widens with it (antialiasing). Thread-safe; bytes do not depend on
// the number of threads.
#pragma once

#include "media/rgb_image.h"

namespace mxvideo::media {

enum class ResampleFilter {
  kBicubic,  // Keys' cubic with a = -1/2, support 2
  kLanczos,  // windowed sinc, support 3
};

inline constexpr int64_t kMaxImageSide = 32768;

// Throws Code::kInvalidArgument when a side of `target` is not in [1, kMaxImageSide].
RgbImage resize(const RgbImage& image, ImageSize target, ResampleFilter filter);

}  // namespace mxvideo::media
