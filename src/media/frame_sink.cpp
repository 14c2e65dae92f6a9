#include "media/frame_sink.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/parallel.h"

namespace mxvideo::media {
namespace {

constexpr int64_t kRowsPerTask = 16;

void to_sample(float unit, uint8_t& sample) { sample = static_cast<uint8_t>(unit * 255.0f); }
void to_sample(float unit, uint16_t& sample) {
  sample = static_cast<uint16_t>(std::lrint(unit * 65535.0f));
}

// Returns whether no value was NaN.
template <class Sample>
bool convert_row(const float* values, int64_t count, Sample* samples) {
  for (int64_t i = 0; i < count; ++i) {
    const float unit = std::clamp(values[i] * 0.5f + 0.5f, 0.0f, 1.0f);
    if (std::isnan(unit)) return false;
    to_sample(unit, samples[i]);
  }
  return true;
}

}  // namespace

bool FrameSink::convert(const FramePart& part, int64_t index, Frame& frame) const {
  const int64_t rows = part.values.dim(1), row_values = part.values.dim(2) * 3;
  const int64_t row_samples = part.video[2] * 3;
  const float* values = part.values.f32() + index * rows * row_values;
  const auto convert_rows = [&](auto* samples) {
    samples += part.top * row_samples + part.left * 3;
    std::atomic<bool> good{true};
    parallel_for(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* from = values + row * row_values;
        if (!convert_row(from, row_values, samples + row * row_samples)) good = false;
      }
    });
    return good.load();
  };
  const auto count = static_cast<size_t>(part.video[1] * row_samples);
  if (video_.deep()) {
    frame.deep_samples.resize(count);
    return convert_rows(frame.deep_samples.data());
  }
  frame.samples.resize(count);
  return convert_rows(frame.samples.data());
}

void FrameSink::add(const FramePart& part) {
  const Shape& values = part.values.shape();
  check(values.rank() == 4 && values[3] == 3 && part.video.rank() == 4 && part.video[3] == 3 &&
            part.first_frame >= next_ && part.first_frame + values[0] <= part.video[0] &&
            part.top >= 0 && part.top + values[1] <= part.video[1] && part.left >= 0 &&
            part.left + values[2] <= part.video[2],
        "frames are [frames, height, width, 3], inside their video");
  total_ = part.video[0];
  for (int64_t i = 0; i < values[0]; ++i) {
    const int64_t number = part.first_frame + i;
    Frame& frame = frames_[number];
    if (!convert(part, i, frame)) {
      throw Error(Code::kNumerics, "video: NaN in frame " + std::to_string(number));
    }
    frame.done += values[1] * values[2];
    while (!frames_.empty() && frames_.begin()->first == next_ &&
           frames_.begin()->second.done == part.video[1] * part.video[2]) {
      const Frame& whole = frames_.begin()->second;
      if (video_.deep()) {
        video_.add_deep(whole.deep_samples);
      } else {
        video_.add(whole.samples);
      }
      frames_.erase(frames_.begin());
      ++next_;
    }
  }
}

void FrameSink::finish() {
  check(next_ == total_, "a video is finished when all of its frames came");
  video_.finish();
}

}  // namespace mxvideo::media
