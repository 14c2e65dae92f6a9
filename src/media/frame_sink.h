// Decoded frames on their way into a VideoSink. They become its samples as they come and leave
// when they are complete, so that no copy of the video is made; only of frames that come in windows
// are the samples kept, until the last window is there.
//
// Bytes are those of diffusers' postprocess_video() and export_to_video(): clamp(v * 0.5 + 0.5, 0,
// 1) * 255 in fp32, truncated (SGLang truncates too; PIL output of diffusers rounds). A deep sink
// gets the same times 65535, rounded. One thread at a time per object.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "media/frame_part.h"
#include "media/video_sink.h"

namespace mxvideo::media {

class FrameSink {
 public:
  // `video` must outlive this object.
  explicit FrameSink(VideoSink& video) : video_(video) {}

  // Parts come in any order and do not overlap. Throws Code::kNumerics naming the frame on NaN, and
  // what VideoSink::add() throws.
  void add(const FramePart& part);
  // After the last part.
  void finish();

 private:
  struct Frame {
    std::vector<uint8_t> samples;        // [height, width, 3]
    std::vector<uint16_t> deep_samples;  // instead, of a deep sink
    int64_t done = 0;                    // pixels
  };

  // Takes frame `index` of the part. Returns whether it had no NaN.
  bool convert(const FramePart& part, int64_t index, Frame& frame) const;

  VideoSink& video_;
  std::map<int64_t, Frame> frames_;  // that have begun and not left
  int64_t next_ = 0;                 // frame to leave
  int64_t total_ = -1;
};

}  // namespace mxvideo::media
