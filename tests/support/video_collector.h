// Puts the parts of a video together. Not thread-safe.
#pragma once

#include <algorithm>
#include <utility>

#include "media/frame_part.h"

namespace mxvideo::test {

class VideoCollector {
 public:
  void operator()(const media::FramePart& part) {
    if (video_.empty()) video_ = Tensor::zeros(part.video);
    const int64_t rows = part.values.dim(1), row_values = part.values.dim(2) * 3;
    for (int64_t i = 0; i < part.values.dim(0) * rows; ++i) {
      const int64_t row = (part.first_frame + i / rows) * part.video[1] + part.top + i % rows;
      std::copy_n(part.values.f32() + i * row_values, row_values,
                  video_.f32() + (row * part.video[2] + part.left) * 3);
    }
  }
  Tensor take() { return std::move(video_); }

 private:
  Tensor video_;
};

}  // namespace mxvideo::test
