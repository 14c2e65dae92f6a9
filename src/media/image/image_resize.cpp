#include "media/image/image_resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "base/error.h"
#include "base/parallel.h"

namespace mxvideo::media {
namespace {

constexpr int kChannels = 3;
constexpr int kPrecisionBits = 22;  // of the coefficients: 8 bits of pixel, 2 of head room
constexpr int64_t kRowsPerTask = 4;

double cubic(double x) {
  constexpr double kA = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos3(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

// For each output position the first input position it reads and its integer weights.
struct Coefficients {
  int64_t stride = 0;  // weights reserved per output position
  std::vector<int64_t> first;
  std::vector<int64_t> count;
  std::vector<int32_t> weights;
};

Coefficients make_coefficients(int64_t input, int64_t output, ResampleFilter filter) {
  const auto function = filter == ResampleFilter::kLanczos ? lanczos3 : cubic;
  const double radius = filter == ResampleFilter::kLanczos ? 3.0 : 2.0;
  const double scale = static_cast<double>(input) / static_cast<double>(output);
  const double widening = std::max(scale, 1.0);
  const double support = radius * widening;

  Coefficients result;
  result.stride = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  result.weights.resize(static_cast<size_t>(output * result.stride));
  std::vector<double> exact(static_cast<size_t>(result.stride));
  for (int64_t i = 0; i < output; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    // Pillow truncates the sum, which is not rounding below zero.
    // NOLINTBEGIN(bugprone-incorrect-roundings)
    const auto first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const auto end = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), input);
    // NOLINTEND(bugprone-incorrect-roundings)
    double sum = 0;
    for (int64_t k = 0; k < end - first; ++k) {
      const double distance = static_cast<double>(k + first) - center + 0.5;
      exact[static_cast<size_t>(k)] = function(distance * (1.0 / widening));
      sum += exact[static_cast<size_t>(k)];
    }
    for (int64_t k = 0; k < end - first; ++k) {
      double weight = exact[static_cast<size_t>(k)];
      if (sum != 0.0) weight /= sum;
      const double fixed = weight * (1 << kPrecisionBits);
      result.weights[static_cast<size_t>(i * result.stride + k)] =
          static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    result.first.push_back(first);
    result.count.push_back(end - first);
  }
  return result;
}

uint8_t to_byte(int64_t sum) {
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kPrecisionBits, 0, 255));
}

// One output pixel: `pixel` is the first one read, `step` the bytes from one to the next.
void convolve_pixel(const uint8_t* pixel, int64_t step, const int32_t* weights, int64_t count,
                    uint8_t* output) {
  constexpr int64_t kHalf = int64_t{1} << (kPrecisionBits - 1);
  int64_t sums[kChannels] = {kHalf, kHalf, kHalf};
  for (int64_t k = 0; k < count; ++k, pixel += step) {
    for (int c = 0; c < kChannels; ++c) sums[c] += int64_t{pixel[c]} * weights[k];
  }
  for (int c = 0; c < kChannels; ++c) output[c] = to_byte(sums[c]);
}

RgbImage allocate(ImageSize size) {
  RgbImage image{.size = size, .pixels = {}};
  image.pixels.resize(static_cast<size_t>(size.height * size.width * kChannels));
  return image;
}

RgbImage resize_width(const RgbImage& image, int64_t width, ResampleFilter filter) {
  if (width == image.size.width) return image;
  const Coefficients c = make_coefficients(image.size.width, width, filter);
  RgbImage result = allocate({.height = image.size.height, .width = width});
  parallel_for(image.size.height, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* row = image.pixels.data() + y * image.size.width * kChannels;
      uint8_t* output = result.pixels.data() + y * width * kChannels;
      for (int64_t x = 0; x < width; ++x) {
        const auto i = static_cast<size_t>(x);
        convolve_pixel(row + c.first[i] * kChannels, kChannels, &c.weights[i * c.stride],
                       c.count[i], output + x * kChannels);
      }
    }
  });
  return result;
}

RgbImage resize_height(const RgbImage& image, int64_t height, ResampleFilter filter) {
  if (height == image.size.height) return image;
  const Coefficients c = make_coefficients(image.size.height, height, filter);
  const int64_t row_bytes = image.size.width * kChannels;
  RgbImage result = allocate({.height = height, .width = image.size.width});
  parallel_for(height, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const auto i = static_cast<size_t>(y);
      const uint8_t* first_row = image.pixels.data() + c.first[i] * row_bytes;
      uint8_t* output = result.pixels.data() + y * row_bytes;
      for (int64_t x = 0; x < image.size.width; ++x) {
        convolve_pixel(first_row + x * kChannels, row_bytes, &c.weights[i * c.stride], c.count[i],
                       output + x * kChannels);
      }
    }
  });
  return result;
}

// Found by experiment, over some thousands of sizes.
bool vertical_first(ImageSize from, ImageSize to) {
  return to.height < from.height && from.height - to.height > 2 * (from.width - to.width);
}

std::string text_of(ImageSize size) {
  return std::to_string(size.width) + "x" + std::to_string(size.height);
}

}  // namespace

RgbImage resize(const RgbImage& image, ImageSize target, ResampleFilter filter) {
  const auto fits = [](int64_t side) { return side >= 1 && side <= kMaxImageSide; };
  if (!fits(target.height) || !fits(target.width)) {
    throw Error(Code::kInvalidArgument, "image size: expected sides from 1 to " +
                                            std::to_string(kMaxImageSide) + ", got " +
                                            text_of(target));
  }
  check(fits(image.size.height) && fits(image.size.width) &&
            static_cast<int64_t>(image.pixels.size()) ==
                image.size.height * image.size.width * kChannels,
        "image holds height * width * 3 bytes");
  if (vertical_first(image.size, target)) {
    return resize_width(resize_height(image, target.height, filter), target.width, filter);
  }
  return resize_height(resize_width(image, target.width, filter), target.height, filter);
}

}  // namespace mxvideo::media
