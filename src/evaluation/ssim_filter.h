// SSIM of pairs of frames by libavfilter; definition in evaluation/video_fidelity.h. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

// Behind <cstdint>, without which they refuse C++.
extern "C" {
#include <libavfilter/avfilter.h>
#include <libavutil/frame.h>
}

#include "media/rgb_image.h"

namespace mxvideo::evaluation {

class SsimFilter {
 public:
  // Throws Code::kUnsupported without the filter, Code::kInternal when FFmpeg refuses the graph.
  explicit SsimFilter(media::ImageSize size);

  // Both [height, width, 3]. Frames come in the order of the video.
  double ssim(std::span<const uint8_t> reference, std::span<const uint8_t> actual);

 private:
  struct Free {
    void operator()(AVFilterGraph* graph) const;
    void operator()(AVFrame* frame) const;
  };
  using Frame = std::unique_ptr<AVFrame, Free>;
  Frame make_frame(std::span<const uint8_t> rgb) const;

  media::ImageSize size_;
  std::unique_ptr<AVFilterGraph, Free> graph_;
  AVFilterContext* inputs_[2] = {nullptr, nullptr};  // owned by the graph
  AVFilterContext* output_ = nullptr;                // likewise
  int64_t frame_ = 0;
};

}  // namespace mxvideo::evaluation
