#include "pipeline/image_preprocess.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "media/image/image_resize.h"

namespace mxvideo::pipeline {
namespace {

constexpr int64_t kChannels = 3;

// The largest multiple of `step` that is not above `value`, as Python's `value // step * step`.
int64_t round_down(double value, int64_t step) {
  return static_cast<int64_t>(value - std::fmod(value, static_cast<double>(step)));
}

// By how much two aspects differ, as a factor >= 1.
double mismatch(double a, double b) { return std::max(a / b, b / a); }

double aspect(media::ImageSize size) {
  return static_cast<double>(size.width) / static_cast<double>(size.height);
}

void check_request(media::ImageSize image, int64_t area, int64_t multiple) {
  check(image.height > 0 && image.width > 0, "an image has pixels");
  check(area > 0 && multiple > 0, "area and multiple are positive");
}

[[noreturn]] void too_narrow(media::ImageSize image, int64_t area, int64_t multiple) {
  throw Error(Code::kInvalidArgument,
              "image of " + std::to_string(image.width) + "x" + std::to_string(image.height) +
                  ": too long and narrow for a video of " + std::to_string(area) +
                  " pixels with sides that are multiples of " + std::to_string(multiple));
}

}  // namespace

Tensor to_signed_tensor(const media::RgbImage& image) {
  const int64_t plane = image.size.height * image.size.width;
  check(static_cast<int64_t>(image.pixels.size()) == plane * kChannels,
        "image holds height * width * 3 bytes");
  Tensor tensor(DType::kF32, {kChannels, image.size.height, image.size.width});
  float* output = tensor.f32();
  for (int64_t i = 0; i < plane; ++i) {
    for (int64_t c = 0; c < kChannels; ++c) {
      const float unit =
          static_cast<float>(image.pixels[static_cast<size_t>(i * kChannels + c)]) / 255.0f;
      output[c * plane + i] = 2.0f * unit - 1.0f;
    }
  }
  return tensor;
}

media::ImageSize best_output_size(media::ImageSize image, int64_t area, int64_t multiple) {
  check_request(image, area, multiple);
  const double wanted = aspect(image);
  const auto pixels = static_cast<double>(area);
  const double ideal_width = std::pow(pixels * wanted, 0.5);
  media::ImageSize by_width{.width = round_down(ideal_width, multiple)};
  media::ImageSize by_height{.height = round_down(pixels / ideal_width, multiple)};
  if (by_width.width == 0 || by_height.height == 0) too_narrow(image, area, multiple);
  by_width.height = round_down(pixels / static_cast<double>(by_width.width), multiple);
  by_height.width = round_down(pixels / static_cast<double>(by_height.height), multiple);
  if (by_width.height == 0 || by_height.width == 0) too_narrow(image, area, multiple);
  const bool width_is_nearer =
      mismatch(wanted, aspect(by_width)) < mismatch(wanted, aspect(by_height));
  return width_is_nearer ? by_width : by_height;
}

media::ImageSize size_from_area(media::ImageSize image, int64_t area, int64_t multiple) {
  check_request(image, area, multiple);
  const double ratio = static_cast<double>(image.height) / static_cast<double>(image.width);
  const auto pixels = static_cast<double>(area);
  const media::ImageSize size{
      .height = round_down(std::nearbyint(std::sqrt(pixels * ratio)), multiple),
      .width = round_down(std::nearbyint(std::sqrt(pixels / ratio)), multiple)};
  if (size.height == 0 || size.width == 0) too_narrow(image, area, multiple);
  return size;
}

media::RgbImage cover_and_crop(const media::RgbImage& image, media::ImageSize target) {
  check(image.size.height > 0 && image.size.width > 0, "an image has pixels");
  check(target.height > 0 && target.width > 0, "a target has pixels");
  const auto height = static_cast<double>(image.size.height);
  const auto width = static_cast<double>(image.size.width);
  const double scale = std::max(static_cast<double>(target.width) / width,
                                static_cast<double>(target.height) / height);
  const media::ImageSize covering{.height = static_cast<int64_t>(std::nearbyint(height * scale)),
                                  .width = static_cast<int64_t>(std::nearbyint(width * scale))};
  const media::RgbImage scaled = media::resize(image, covering, media::ResampleFilter::kLanczos);
  const int64_t left = (covering.width - target.width) / 2;
  const int64_t top = (covering.height - target.height) / 2;
  check(left >= 0 && top >= 0, "the scaled image covers the target");

  media::RgbImage result{.size = target, .pixels = {}};
  result.pixels.reserve(static_cast<size_t>(target.height * target.width * kChannels));
  for (int64_t y = 0; y < target.height; ++y) {
    const uint8_t* row = scaled.pixels.data() + ((top + y) * covering.width + left) * kChannels;
    result.pixels.insert(result.pixels.end(), row, row + target.width * kChannels);
  }
  return result;
}

media::RgbImage contain_and_pad(const media::RgbImage& image, media::ImageSize target,
                                const media::RgbColor& padding) {
  check(image.size.height > 0 && image.size.width > 0, "an image has pixels");
  check(target.height > 0 && target.width > 0, "a target has pixels");
  const auto height = static_cast<double>(image.size.height);
  const auto width = static_cast<double>(image.size.width);
  const double scale = std::min(static_cast<double>(target.width) / width,
                                static_cast<double>(target.height) / height);
  const auto side = [scale](double length) {
    return std::max<int64_t>(static_cast<int64_t>(std::nearbyint(length * scale)), 1);
  };
  const media::ImageSize inside{.height = side(height), .width = side(width)};
  const media::RgbImage scaled = media::resize(image, inside, media::ResampleFilter::kLanczos);
  const int64_t left = (target.width - inside.width) / 2;
  const int64_t top = (target.height - inside.height) / 2;

  media::RgbImage result{.size = target, .pixels = {}};
  result.pixels.reserve(static_cast<size_t>(target.height * target.width * kChannels));
  for (int64_t i = 0; i < target.height * target.width; ++i) {
    result.pixels.insert(result.pixels.end(), padding.begin(), padding.end());
  }
  for (int64_t y = 0; y < inside.height; ++y) {
    const auto row = scaled.pixels.begin() + y * inside.width * kChannels;
    std::copy_n(row, inside.width * kChannels,
                result.pixels.begin() + ((top + y) * target.width + left) * kChannels);
  }
  return result;
}

std::string_view image_fit_name(ImageFit fit) {
  switch (fit) {
    case ImageFit::kStretch:
      return "stretch";
    case ImageFit::kCover:
      return "cover";
    case ImageFit::kContain:
      return "contain";
  }
  return "";
}

ImageFit parse_image_fit(std::string_view name) {
  for (ImageFit fit : {ImageFit::kStretch, ImageFit::kCover, ImageFit::kContain}) {
    if (image_fit_name(fit) == name) return fit;
  }
  throw Error(Code::kInvalidArgument,
              "expected stretch, cover or contain, got '" + std::string(name) + "'");
}

media::RgbImage fit_image(const media::RgbImage& image, media::ImageSize target, ImageFit fit,
                          const media::RgbColor& padding) {
  switch (fit) {
    case ImageFit::kStretch:
      return media::resize(image, target, media::ResampleFilter::kLanczos);
    case ImageFit::kCover:
      return cover_and_crop(image, target);
    case ImageFit::kContain:
      return contain_and_pad(image, target, padding);
  }
  return image;
}

}  // namespace mxvideo::pipeline
