// Decoded frames on their way into a VideoSink. They become its samples as they come and leave
// when they are complete, so that no copy of the video is made; only of frames that come in windows
// are the samples kept, until the last window is there.
//
// Bytes are those of diffusers' postprocess_video() and export_to_video(): clamp(v * 0.5 + 0.5, 0,
// 1) * 255 in fp32, truncated (SGLang truncates too; PIL output of diffusers rounds). A deep sink
// gets the same times 65535, rounded. One thread at a time per object.
#pragma once

#include <cstdint>
#include <vector>

#include "media/frame_part.h"
#include "media/video_sink.h"

namespace mxvideo::media {

class FrameSink {
 public:
  // `video` must outlive this object.
  explicit FrameSink(VideoSink& video) : video_(video) {}

  // Whole frames come in their order, windows in any; they do not overlap. Throws Code::kNumerics
  // naming the frame on NaN, and what VideoSink::add() throws.
  void add(const FramePart& part);
  // After the last part.
  void finish();

 private:
  void begin(const FramePart& part);
  // Takes frame `index` of the part. Returns whether it had no NaN.
  bool convert(const FramePart& part, int64_t index);
  void leave();
  // Where the samples of a frame begin.
  size_t offset_of(int64_t frame) const { return static_cast<size_t>(frame % kept_ * samples_); }

  VideoSink& video_;
  int64_t total_ = -1;   // frames; -1: none has begun
  int64_t kept_ = 1;     // frames at a time: one, or of a video in windows all
  int64_t samples_ = 0;  // of a frame
  // [kept_, height, width, 3], in one piece: frame by frame they would lie scattered among what the
  // decoder frees.
  std::vector<uint8_t> rgb_;
  std::vector<uint16_t> deep_rgb_;  // instead, of a deep sink
  std::vector<int64_t> done_;       // samples of each frame
  int64_t next_ = 0;                // frame to leave
};

}  // namespace mxvideo::media
