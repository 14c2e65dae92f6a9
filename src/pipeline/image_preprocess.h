// From a picture to the tensor that the VAE encodes, and the sizes that the engines derive from a
// picture's aspect. Pure functions; a pipeline chooses which of them apply:
//   Diffusers          to_signed_tensor(media::resize(image, size, kLanczos))
//   Wan2.2, SGLang     TI2V: to_signed_tensor(cover_and_crop(image, best_output_size(…)))
//   SGLang I2V-A14B    to_signed_tensor(media::resize(image, size_from_area(…), kBicubic))
// Thread-safe; results do not depend on the number of threads.
#pragma once

#include <string_view>

#include "media/rgb_image.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

// F32 [3, height, width] in [-1, 1]: 2 * (byte / 255) - 1, each operation rounded to fp32. The same
// bits as diffusers' VideoProcessor.preprocess and torchvision's to_tensor().sub(0.5).div(0.5).
Tensor to_signed_tensor(const media::RgbImage& image);

// The largest size of about `area` pixels, not above it, whose sides are multiples of `multiple`
// and whose aspect is nearest to the image's (Wan2.2's wan/utils/utils.py, best_output_size).
// Throws Code::kInvalidArgument when the image is too long and narrow for any.
media::ImageSize best_output_size(media::ImageSize image, int64_t area, int64_t multiple);

// round(sqrt(area * aspect)) and round(sqrt(area / aspect)), each rounded down to a multiple; may
// exceed `area` slightly. Throws like best_output_size().
media::ImageSize size_from_area(media::ImageSize image, int64_t area, int64_t multiple);

// Scales the image (Lanczos) until it covers `target`, keeping its aspect, and cuts out the centre.
// Throws Code::kInvalidArgument when the scaled image would exceed media::kMaxImageSide.
media::RgbImage cover_and_crop(const media::RgbImage& image, media::ImageSize target);

// Scales the image (Lanczos) until it just fits into `target`, keeping its aspect, centres it and
// fills the rest. Each side is rounded to the nearest pixel, and is one at least.
media::RgbImage contain_and_pad(const media::RgbImage& image, media::ImageSize target,
                                const media::RgbColor& padding);

// What becomes of a picture whose aspect is not the video's, by the words of CSS's object-fit:
// distorted, cut off at two sides, or with bars at two sides.
enum class ImageFit : uint8_t { kStretch, kCover, kContain };

std::string_view image_fit_name(ImageFit fit);  // "stretch", …
// Throws Code::kInvalidArgument for other words.
ImageFit parse_image_fit(std::string_view name);

// `image` as a picture of `target`; `padding` is the colour of bars.
media::RgbImage fit_image(const media::RgbImage& image, media::ImageSize target, ImageFit fit,
                          const media::RgbColor& padding);

}  // namespace mxvideo::pipeline
