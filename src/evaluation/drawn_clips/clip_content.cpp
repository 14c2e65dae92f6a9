#include "evaluation/drawn_clips/clip_content.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <vector>

#include "base/error.h"
#include "evaluation/drawn_clips/frame_content.h"

namespace mxvideo::evaluation {
namespace {

constexpr double kMinShareOfFrames = 0.75;
constexpr double kMinTravel = 1.0 / 8;      // of the shorter side
constexpr double kMaxSideTravel = 1.0 / 2;  // of the travel along the main axis

// What enough frames agree on; empty when they do not.
std::string agreed(const std::vector<std::string>& values) {
  std::map<std::string, size_t> counts;
  for (const std::string& value : values) ++counts[value];
  for (const auto& [value, count] : counts) {
    const double share = static_cast<double>(count) / static_cast<double>(values.size());
    if (share >= kMinShareOfFrames) return value;
  }
  return "";
}

struct TimedPoint {
  double frame = 0;
  Point point;
};

// Change per frame, by least squares.
Point velocity(const std::vector<TimedPoint>& track) {
  double mean_frame = 0;
  for (const TimedPoint& at : track) mean_frame += at.frame / static_cast<double>(track.size());
  Point slope;
  double spread = 0;
  for (const TimedPoint& at : track) {
    const double t = at.frame - mean_frame;
    slope.x += t * at.point.x;
    slope.y += t * at.point.y;
    spread += t * t;
  }
  if (spread == 0) return {};
  return {.x = slope.x / spread, .y = slope.y / spread};
}

std::string direction_of(Point travel, double shorter_side) {
  const double across = std::abs(travel.x), down = std::abs(travel.y);
  const auto [side, main] = std::minmax(across, down);
  if (main < kMinTravel * shorter_side || side > kMaxSideTravel * main) return "";
  if (across > down) return travel.x > 0 ? "right" : "left";
  return travel.y > 0 ? "down" : "up";
}

std::string third_of(double position, int64_t length, const std::array<const char*, 3>& names) {
  const double share = (position + 0.5) / static_cast<double>(length);
  return names[static_cast<size_t>(std::clamp(share * 3, 0.0, 2.0))];
}

void measure_motion(const std::vector<TimedPoint>& track, const media::RgbVideo& video,
                    ClipContent& content) {
  const double needed = kMinShareOfFrames * static_cast<double>(video.frames);
  if (static_cast<double>(track.size()) < needed) return;
  Point mean;
  for (const TimedPoint& at : track) {
    mean.x += at.point.x / static_cast<double>(track.size());
    mean.y += at.point.y / static_cast<double>(track.size());
  }
  content.row = third_of(mean.y, video.size.height, {"top", "middle", "bottom"});
  content.column = third_of(mean.x, video.size.width, {"left", "middle", "right"});
  const auto intervals = static_cast<double>(video.frames - 1);
  const Point per_frame = velocity(track);
  content.direction =
      direction_of({.x = per_frame.x * intervals, .y = per_frame.y * intervals},
                   static_cast<double>(std::min(video.size.height, video.size.width)));
}

Color median_background(const std::vector<FrameContent>& frames) {
  Color result{};
  for (size_t c = 0; c < 3; ++c) {
    std::vector<double> values;
    values.reserve(frames.size());
    for (const FrameContent& frame : frames) values.push_back(frame.background[c]);
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    result[c] = *middle;
  }
  return result;
}

// Sums over the background of the clip.
class BackgroundMeasure {
 public:
  explicit BackgroundMeasure(const Color& background) : background_(background) {}

  // `previous` and its pixels may be null, for the first frame.
  void add(const PixelMask& excluded, const uint8_t* pixels, const PixelMask* previous_excluded,
           const uint8_t* previous) {
    for (size_t i = 0; i < excluded.pixels.size(); ++i) {
      if (excluded.pixels[i] != 0) continue;
      ++pixels_;
      constant_ += is_constant(pixels + i * 3) ? 1 : 0;
      if (previous == nullptr || previous_excluded->pixels[i] != 0) continue;
      ++changes_;
      for (size_t c = 0; c < 3; ++c) change_ += std::abs(pixels[i * 3 + c] - previous[i * 3 + c]);
    }
  }

  double flicker() const {
    return changes_ == 0 ? 0 : static_cast<double>(change_) / (3 * static_cast<double>(changes_));
  }
  double constancy() const {
    return pixels_ == 0 ? 0 : 100 * static_cast<double>(constant_) / static_cast<double>(pixels_);
  }

 private:
  bool is_constant(const uint8_t* rgb) const {
    for (size_t c = 0; c < 3; ++c) {
      if (std::abs(rgb[c] - background_[c]) > kBackgroundTolerance) return false;
    }
    return true;
  }

  Color background_;
  int64_t pixels_ = 0, constant_ = 0;
  int64_t changes_ = 0, change_ = 0;
};

void measure_background(const media::RgbVideo& video, const std::vector<FrameContent>& frames,
                        ClipContent& content) {
  const int64_t margin = std::max<int64_t>(1, std::min(video.size.height, video.size.width) / 32);
  BackgroundMeasure measure(median_background(frames));
  PixelMask previous(video.size);
  for (int64_t i = 0; i < video.frames; ++i) {
    PixelMask excluded = dilate(fill_holes(frames[static_cast<size_t>(i)].foreground), margin);
    measure.add(excluded, video.frame(i).data(), &previous,
                i == 0 ? nullptr : video.frame(i - 1).data());
    previous = std::move(excluded);
  }
  content.flicker = measure.flicker();
  content.background_constancy = measure.constancy();
}

}  // namespace

ClipContent measure_clip(const media::RgbVideo& video, const Palette& colors,
                         const Palette& backgrounds) {
  check(video.frames > 0, "a clip has at least one frame");
  std::vector<FrameContent> frames;
  std::vector<std::string> shape_names, color_names, background_names;
  std::vector<TimedPoint> track;
  for (int64_t i = 0; i < video.frames; ++i) {
    const FrameContent& frame = frames.emplace_back(measure_frame(video.size, video.frame(i)));
    background_names.push_back(frame.is_plain ? nearest_color(backgrounds, frame.background) : "");
    const ShapeContent shape = frame.shape.value_or(ShapeContent{});
    shape_names.emplace_back(shape_name(shape.kind));
    color_names.push_back(shape.color ? nearest_color(colors, *shape.color) : "");
    if (frame.shape) track.push_back({.frame = static_cast<double>(i), .point = shape.middle});
  }
  ClipContent content;
  content.shape = agreed(shape_names);
  content.color = agreed(color_names);
  content.background = agreed(background_names);
  measure_motion(track, video, content);
  measure_background(video, frames, content);
  return content;
}

}  // namespace mxvideo::evaluation
