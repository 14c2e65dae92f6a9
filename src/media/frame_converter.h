// RGB frames to planar YUV with libswscale: BT.709 matrix, limited range, exact rounding.
// Not thread-safe.
#pragma once

extern "C" {
#include <libavutil/frame.h>
#include <libavutil/pixfmt.h>
}

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "pipeline/rgb_image.h"

struct SwsContext;

namespace mxvideo::media {

// av_strerror() of an FFmpeg return code.
std::string ffmpeg_message(int code);

// Stops FFmpeg's libraries from printing, for the whole process.
void silence_ffmpeg();

// What the frames of FrameConverter hold: BT.709 colours in limited range, the transfer curve of
// sRGB. For an AVFrame or an AVCodecContext.
template <class Tagged>
void tag_colors(Tagged& tagged) {
  tagged.color_range = AVCOL_RANGE_MPEG;
  tagged.colorspace = AVCOL_SPC_BT709;
  tagged.color_primaries = AVCOL_PRI_BT709;
  tagged.color_trc = AVCOL_TRC_IEC61966_2_1;
}

class FrameConverter {
 public:
  // Throws Code::kOutOfMemory when FFmpeg cannot allocate, Code::kIo when it refuses the formats.
  FrameConverter(pipeline::ImageSize size, AVPixelFormat format);

  // `rgb` is [height, width, 3]. The frame is writable and valid until the next call.
  AVFrame* convert(std::span<const uint8_t> rgb);

 private:
  struct Free {
    void operator()(SwsContext* context) const;
    void operator()(AVFrame* frame) const;
  };
  pipeline::ImageSize size_;
  std::unique_ptr<SwsContext, Free> context_;
  std::unique_ptr<AVFrame, Free> frame_;
};

}  // namespace mxvideo::media
