#include "media/frame_converter.h"

#include <array>

#include "base/error.h"
#include "media/ffmpeg.h"

namespace mxvideo::media {

std::string ffmpeg_message(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  ffmpeg::util().av_strerror(code, text.data(), text.size());
  return text.data();
}

void silence_ffmpeg() { ffmpeg::util().av_log_set_level(AV_LOG_QUIET); }

void FrameConverter::Free::operator()(SwsContext* context) const {
  ffmpeg::scaler().sws_freeContext(context);
}
void FrameConverter::Free::operator()(AVFrame* frame) const {
  ffmpeg::util().av_frame_free(&frame);
}

FrameConverter::FrameConverter(ImageSize size, AVPixelFormat format, ColorMatrix matrix, bool deep)
    : size_(size), deep_(deep) {
  silence_ffmpeg();
  const int width = static_cast<int>(size.width);
  const int height = static_cast<int>(size.height);
  constexpr int kFlags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP | SWS_BITEXACT;
  const AVPixelFormat source = deep ? AV_PIX_FMT_RGB48 : AV_PIX_FMT_RGB24;
  context_.reset(ffmpeg::scaler().sws_getContext(width, height, source, width, height, format,
                                                 kFlags, nullptr, nullptr, nullptr));
  frame_.reset(ffmpeg::util().av_frame_alloc());
  if (context_ == nullptr || frame_ == nullptr) {
    throw Error(Code::kOutOfMemory,
                "cannot convert frames of " + std::to_string(width) + "x" + std::to_string(height));
  }
  const bool rgb = (ffmpeg::util().av_pix_fmt_desc_get(format)->flags & AV_PIX_FMT_FLAG_RGB) != 0;
  const int* table = ffmpeg::scaler().sws_getCoefficients(
      matrix == ColorMatrix::kBt709 ? SWS_CS_ITU709 : SWS_CS_ITU601);
  constexpr int kFull = 1;
  constexpr int kLimited = 0;
  constexpr int kNeutral = 1 << 16;
  if (!rgb && ffmpeg::scaler().sws_setColorspaceDetails(context_.get(), table, kFull, table,
                                                        kLimited, 0, kNeutral, kNeutral) < 0) {
    throw Error(Code::kIo, "cannot convert frames to YUV");
  }
  frame_->format = format;
  frame_->width = width;
  frame_->height = height;
  tag_colors(*frame_, rgb);
  const int code = ffmpeg::util().av_frame_get_buffer(frame_.get(), 0);
  if (code < 0) throw Error(Code::kOutOfMemory, "cannot allocate a frame: " + ffmpeg_message(code));
}

AVFrame* FrameConverter::convert(std::span<const uint8_t> rgb) {
  check(!deep_, "a deep converter takes 16-bit numbers");
  return convert_samples(rgb.data(), rgb.size(), sizeof(uint8_t));
}

AVFrame* FrameConverter::convert(std::span<const uint16_t> rgb) {
  check(deep_, "this converter takes bytes");
  return convert_samples(rgb.data(), rgb.size(), sizeof(uint16_t));
}

AVFrame* FrameConverter::convert_samples(const void* rgb, size_t samples, size_t sample_bytes) {
  check(static_cast<int64_t>(samples) == size_.height * size_.width * 3,
        "a frame holds height * width * 3 samples");
  int code = ffmpeg::util().av_frame_make_writable(
      frame_.get());  // the encoder may still hold the last one
  if (code < 0) throw Error(Code::kOutOfMemory, "cannot allocate a frame: " + ffmpeg_message(code));
  const uint8_t* source[] = {static_cast<const uint8_t*>(rgb)};
  const int stride[] = {static_cast<int>(size_.width * 3) * static_cast<int>(sample_bytes)};
  code = ffmpeg::scaler().sws_scale(context_.get(), source, stride, 0, frame_->height, frame_->data,
                                    frame_->linesize);
  if (code < 0) throw Error(Code::kIo, "cannot convert a frame: " + ffmpeg_message(code));
  return frame_.get();
}

}  // namespace mxvideo::media
