// RGB frames to what an encoder takes, with libswscale: YUV by the matrix of BT.709 (or BT.601) in
// limited range with exact rounding, or RGB as it is. Not thread-safe.
#pragma once

extern "C" {
#include <libavutil/frame.h>
#include <libavutil/pixfmt.h>
}

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "media/rgb_image.h"

struct SwsContext;

namespace mxvideo::media {

// av_strerror() of an FFmpeg return code.
std::string ffmpeg_message(int code);

// Stops FFmpeg's libraries from printing, for the whole process.
void silence_ffmpeg();

// What the frames of FrameConverter hold: BT.709 colours in limited range, or RGB, with the
// transfer curve of sRGB. For an AVFrame or an AVCodecContext.
template <class Tagged>
void tag_colors(Tagged& tagged, bool rgb = false) {
  tagged.color_range = rgb ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  tagged.colorspace = rgb ? AVCOL_SPC_RGB : AVCOL_SPC_BT709;
  tagged.color_primaries = AVCOL_PRI_BT709;
  tagged.color_trc = AVCOL_TRC_IEC61966_2_1;
}

// BT.601 for a format that cannot say which it is: readers then assume this one.
enum class ColorMatrix : uint8_t { kBt709, kBt601 };

class FrameConverter {
 public:
  // `deep`: frames come with 16 bits per sample. Throws Code::kOutOfMemory when FFmpeg cannot
  // allocate, Code::kIo when it refuses the formats.
  FrameConverter(ImageSize size, AVPixelFormat format, ColorMatrix matrix = ColorMatrix::kBt709,
                 bool deep = false);

  // `rgb` is [height, width, 3], bytes or, of a deep converter, 16-bit numbers. The frame is
  // writable and valid until the next call.
  AVFrame* convert(std::span<const uint8_t> rgb);
  AVFrame* convert(std::span<const uint16_t> rgb);

 private:
  AVFrame* convert_samples(const void* rgb, size_t samples, size_t sample_bytes);

  struct Free {
    void operator()(SwsContext* context) const;
    void operator()(AVFrame* frame) const;
  };
  ImageSize size_;
  bool deep_;
  std::unique_ptr<SwsContext, Free> context_;
  std::unique_ptr<AVFrame, Free> frame_;
};

}  // namespace mxvideo::media
