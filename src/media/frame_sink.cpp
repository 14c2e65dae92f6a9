#include "media/frame_sink.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <span>
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

void FrameSink::begin(const FramePart& part) {
  const bool whole = part.values.dim(1) == part.video[1] && part.values.dim(2) == part.video[2];
  total_ = part.video[0];
  kept_ = whole ? 1 : total_;
  samples_ = part.video[1] * part.video[2] * 3;
  done_.assign(static_cast<size_t>(total_), 0);
  const auto count = static_cast<size_t>(kept_ * samples_);
  if (video_.deep()) {
    deep_rgb_.resize(count);
  } else {
    rgb_.resize(count);
  }
}

bool FrameSink::convert(const FramePart& part, int64_t index) {
  const int64_t rows = part.values.dim(1), row_values = part.values.dim(2) * 3;
  const int64_t row_samples = part.video[2] * 3;
  const float* values = part.values.f32() + index * rows * row_values;
  const auto convert_rows = [&](auto* samples) {
    samples += offset_of(part.first_frame + index);
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
  return video_.deep() ? convert_rows(deep_rgb_.data()) : convert_rows(rgb_.data());
}

void FrameSink::leave() {
  const size_t offset = offset_of(next_), count = static_cast<size_t>(samples_);
  if (video_.deep()) {
    video_.add_deep(std::span(deep_rgb_).subspan(offset, count));
  } else {
    video_.add(std::span(rgb_).subspan(offset, count));
  }
  ++next_;
}

void FrameSink::add(const FramePart& part) {
  const Shape& values = part.values.shape();
  check(values.rank() == 4 && values[3] == 3 && part.video.rank() == 4 && part.video[3] == 3 &&
            part.first_frame >= next_ && part.first_frame + values[0] <= part.video[0] &&
            part.top >= 0 && part.top + values[1] <= part.video[1] && part.left >= 0 &&
            part.left + values[2] <= part.video[2],
        "frames are [frames, height, width, 3], inside their video");
  if (total_ < 0) begin(part);
  for (int64_t i = 0; i < values[0]; ++i) {
    const int64_t number = part.first_frame + i;
    check(kept_ > 1 || number == next_, "whole frames come in their order");
    if (!convert(part, i)) {
      throw Error(Code::kNumerics, "video: NaN in frame " + std::to_string(number));
    }
    done_[static_cast<size_t>(number)] += values[1] * values[2] * 3;
    while (next_ < total_ && done_[static_cast<size_t>(next_)] == samples_) leave();
  }
}

void FrameSink::finish() {
  check(next_ == total_, "a video is finished when all of its frames came");
  video_.finish();
}

}  // namespace mxvideo::media
