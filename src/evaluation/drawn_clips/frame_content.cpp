#include "evaluation/drawn_clips/frame_content.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace mxvideo::evaluation {
namespace {

// Pixels nearer than this to the background belong to it, whatever else the frame shows.
constexpr double kMinContrast = 32;
// Of what stands out, the part that sets the contrast: beyond blurred edges, below outliers.
constexpr double kContrastQuantile = 0.75;
constexpr double kMinPlainRim = 0.75;                 // share of the rim
constexpr double kMinShape = 0.01, kMaxShape = 0.25;  // share of the frame
constexpr double kMinShareOfLargest = 0.85;           // of all foreground
constexpr double kMinUniformInterior = 0.75;          // share of the interior

struct Frame {
  media::ImageSize size;
  std::span<const uint8_t> pixels;

  Color color(int64_t y, int64_t x) const {
    const uint8_t* rgb = pixels.data() + (y * size.width + x) * 3;
    return {double(rgb[0]), double(rgb[1]), double(rgb[2])};
  }
  int64_t shorter_side() const { return std::min(size.height, size.width); }
};

std::vector<Color> rim_of(const Frame& frame) {
  const int64_t rim = std::max<int64_t>(1, frame.shorter_side() / 32);
  std::vector<Color> colors;
  for (int64_t y = 0; y < frame.size.height; ++y) {
    const bool whole_row = y < rim || y >= frame.size.height - rim;
    for (int64_t x = 0; x < frame.size.width; ++x) {
      if (whole_row || x < rim || x >= frame.size.width - rim) colors.push_back(frame.color(y, x));
    }
  }
  return colors;
}

Color median(const std::vector<Color>& colors) {
  Color result{};
  std::vector<double> channel(colors.size());
  const auto middle = channel.begin() + static_cast<std::ptrdiff_t>(channel.size() / 2);
  for (size_t c = 0; c < 3; ++c) {
    std::ranges::transform(colors, channel.begin(), [c](const Color& color) { return color[c]; });
    std::ranges::nth_element(channel, middle);
    result[c] = *middle;
  }
  return result;
}

double share_near(const std::vector<Color>& colors, const Color& center) {
  const auto near = std::ranges::count_if(
      colors, [&](const Color& color) { return color_distance(color, center) <= kColorTolerance; });
  return static_cast<double>(near) / static_cast<double>(colors.size());
}

// Pixels at least half as far from the background as the body of what stands out: the edge of a
// blurred shape then stays where it was.
PixelMask foreground_of(const Frame& frame, const Color& background) {
  PixelMask mask(frame.size);
  std::vector<double> distances, standing_out;
  for (int64_t y = 0; y < frame.size.height; ++y) {
    for (int64_t x = 0; x < frame.size.width; ++x) {
      distances.push_back(color_distance(frame.color(y, x), background));
      if (distances.back() >= kMinContrast) standing_out.push_back(distances.back());
    }
  }
  if (standing_out.empty()) return mask;
  const auto quantile =
      standing_out.begin() +
      static_cast<std::ptrdiff_t>(kContrastQuantile * static_cast<double>(standing_out.size()));
  std::ranges::nth_element(standing_out, quantile);
  const double threshold = std::max(kMinContrast, *quantile / 2);
  for (size_t i = 0; i < distances.size(); ++i) mask.pixels[i] = distances[i] >= threshold ? 1 : 0;
  return mask;
}

std::optional<Color> interior_color(const Frame& frame, const PixelMask& shape) {
  PixelMask interior = erode(shape, std::max<int64_t>(1, frame.shorter_side() / 64));
  if (interior.count() == 0) interior = shape;
  std::vector<Color> colors;
  Color mean{};
  for (int64_t y = 0; y < frame.size.height; ++y) {
    for (int64_t x = 0; x < frame.size.width; ++x) {
      if (!interior.at(y, x)) continue;
      colors.push_back(frame.color(y, x));
      for (size_t c = 0; c < 3; ++c) mean[c] += colors.back()[c];
    }
  }
  for (double& channel : mean) channel /= static_cast<double>(colors.size());
  if (share_near(colors, mean) < kMinUniformInterior) return std::nullopt;
  return mean;
}

}  // namespace

FrameContent measure_frame(media::ImageSize size, std::span<const uint8_t> pixels) {
  check(size.height > 0 && size.width > 0 &&
            static_cast<int64_t>(pixels.size()) == size.height * size.width * 3,
        "pixels holds height * width * 3 bytes");
  const Frame frame{.size = size, .pixels = pixels};
  const std::vector<Color> rim = rim_of(frame);
  FrameContent content{.background = median(rim),
                       .is_plain = false,
                       .foreground = PixelMask(size),
                       .shape = std::nullopt};
  content.is_plain = share_near(rim, content.background) >= kMinPlainRim;
  const PixelMask all = foreground_of(frame, content.background);
  content.foreground = largest_component(all);
  const auto count = static_cast<double>(content.foreground.count());
  const auto frame_pixels = static_cast<double>(size.height * size.width);
  const bool clear = content.is_plain && count >= kMinShape * frame_pixels &&
                     count <= kMaxShape * frame_pixels &&
                     count >= kMinShareOfLargest * static_cast<double>(all.count());
  if (!clear) return content;
  content.shape = ShapeContent{.kind = classify_shape(content.foreground),
                               .color = interior_color(frame, content.foreground),
                               .middle = middle_of_box(content.foreground)};
  return content;
}

}  // namespace mxvideo::evaluation
