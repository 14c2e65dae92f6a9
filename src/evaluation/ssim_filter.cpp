#include "evaluation/ssim_filter.h"

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "base/error.h"
#include "media/ffmpeg.h"
#include "media/frame_converter.h"

namespace mxvideo::evaluation {
namespace {

namespace ffmpeg = media::ffmpeg;

void require(int code, const char* what) {
  if (code < 0) {
    throw Error(code == AVERROR(ENOMEM) ? Code::kOutOfMemory : Code::kInternal,
                std::string("SSIM: ") + what + ": " + media::ffmpeg_message(code));
  }
}

AVFilterContext* add_filter(AVFilterGraph* graph, const char* filter, const char* name,
                            const char* arguments) {
  const AVFilter* found = ffmpeg::filters().avfilter_get_by_name(filter);
  if (found == nullptr) {
    throw Error(Code::kUnsupported,
                std::string("SSIM: this libavfilter has no filter '") + filter + "'");
  }
  AVFilterContext* context = nullptr;
  require(ffmpeg::filters().avfilter_graph_create_filter(&context, found, name, arguments, nullptr,
                                                         graph),
          filter);
  return context;
}

}  // namespace

void SsimFilter::Free::operator()(AVFilterGraph* graph) const {
  ffmpeg::filters().avfilter_graph_free(&graph);
}
void SsimFilter::Free::operator()(AVFrame* frame) const { ffmpeg::util().av_frame_free(&frame); }

SsimFilter::SsimFilter(media::ImageSize size)
    : size_(size), graph_(ffmpeg::filters().avfilter_graph_alloc()) {
  media::silence_ffmpeg();
  if (graph_ == nullptr) throw Error(Code::kOutOfMemory, "SSIM: cannot allocate a filter graph");
  graph_->nb_threads = 1;
  const std::string arguments =
      "video_size=" + std::to_string(size.width) + "x" + std::to_string(size.height) +
      ":pix_fmt=" + std::to_string(AV_PIX_FMT_GBRP) + ":time_base=1/1:pixel_aspect=1/1";
  inputs_[0] = add_filter(graph_.get(), "buffer", "actual", arguments.c_str());
  inputs_[1] = add_filter(graph_.get(), "buffer", "reference", arguments.c_str());
  AVFilterContext* ssim = add_filter(graph_.get(), "ssim", "ssim", nullptr);
  output_ = add_filter(graph_.get(), "buffersink", "output", nullptr);
  require(ffmpeg::filters().avfilter_link(inputs_[0], 0, ssim, 0), "link");
  require(ffmpeg::filters().avfilter_link(inputs_[1], 0, ssim, 1), "link");
  require(ffmpeg::filters().avfilter_link(ssim, 0, output_, 0), "link");
  require(ffmpeg::filters().avfilter_graph_config(graph_.get(), nullptr), "graph");
}

SsimFilter::Frame SsimFilter::make_frame(std::span<const uint8_t> rgb) const {
  check(static_cast<int64_t>(rgb.size()) == size_.height * size_.width * 3, "a frame of that size");
  Frame frame(ffmpeg::util().av_frame_alloc());
  if (frame == nullptr) throw Error(Code::kOutOfMemory, "SSIM: cannot allocate a frame");
  frame->format = AV_PIX_FMT_GBRP;
  frame->width = static_cast<int>(size_.width);
  frame->height = static_cast<int>(size_.height);
  frame->pts = frame_;
  require(ffmpeg::util().av_frame_get_buffer(frame.get(), 0), "frame");
  constexpr std::array<size_t, 3> kChannelOfPlane = {1, 2, 0};  // G, B, R
  for (size_t plane = 0; plane < 3; ++plane) {
    for (int64_t y = 0; y < size_.height; ++y) {
      uint8_t* row = frame->data[plane] + y * frame->linesize[plane];
      const uint8_t* source = rgb.data() + y * size_.width * 3 + kChannelOfPlane[plane];
      for (int64_t x = 0; x < size_.width; ++x) row[x] = source[x * 3];
    }
  }
  return frame;
}

double SsimFilter::ssim(std::span<const uint8_t> reference, std::span<const uint8_t> actual) {
  const Frame first = make_frame(actual), second = make_frame(reference);
  ++frame_;
  require(ffmpeg::filters().av_buffersrc_add_frame(inputs_[0], first.get()), "input");
  require(ffmpeg::filters().av_buffersrc_add_frame(inputs_[1], second.get()), "input");
  const Frame result(ffmpeg::util().av_frame_alloc());
  if (result == nullptr) throw Error(Code::kOutOfMemory, "SSIM: cannot allocate a frame");
  require(ffmpeg::filters().av_buffersink_get_frame(output_, result.get()), "output");
  const AVDictionaryEntry* entry =
      ffmpeg::util().av_dict_get(result->metadata, "lavfi.ssim.All", nullptr, 0);
  check(entry != nullptr, "the ssim filter tags its frames");
  const std::string_view text = entry->value;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size(), "the SSIM is a number");
  return value;
}

}  // namespace mxvideo::evaluation
