// What a decoder hands out as soon as it is done: some frames of a video, or a window of them.
#pragma once

#include <cstdint>

#include "tensor/shape.h"
#include "tensor/tensor.h"

namespace mxvideo::media {

struct FramePart {
  const Tensor& values;       // F32 [frames, height, width, 3] in [-1, 1]
  Shape video;                // that of all frames, likewise
  int64_t first_frame = 0;    // where the values lie in it
  int64_t top = 0, left = 0;  // in pixels
};

}  // namespace mxvideo::media
