extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
}

#include <array>
#include <cerrno>
#include <cmath>
#include <string_view>

#include "base/atomic_file.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "media/frame_converter.h"
#include "media/video_sink.h"

namespace mxvideo::media {
namespace {

// x264's bits depend on its number of threads, so it is not this machine's.
constexpr int kEncoderThreads = 4;
constexpr std::array<std::string_view, 10> kPresets = {
    "ultrafast", "superfast", "veryfast", "faster",   "fast",
    "medium",    "slow",      "slower",   "veryslow", "placebo"};

void check_options(pipeline::ImageSize size, const VideoOptions& options) {
  const auto refuse = [](const std::string& message) {
    throw Error(Code::kInvalidArgument, message);
  };
  if (size.height % 2 != 0 || size.width % 2 != 0) {
    refuse("MP4 video: expected an even width and height, got " + std::to_string(size.width) + "x" +
           std::to_string(size.height));
  }
  if (!(options.fps >= 1 && options.fps <= 240)) {
    refuse("frames per second: expected 1 to 240, got " + std::to_string(options.fps));
  }
  if (options.crf < 0 || options.crf > 51) {
    refuse("crf: expected 0 to 51, got " + std::to_string(options.crf));
  }
  for (std::string_view preset : kPresets) {
    if (options.preset == preset) return;
  }
  refuse("x264 preset: expected ultrafast to placebo, got '" + options.preset + "'");
}

struct Free {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVFormatContext* context) const {
    avio_closep(&context->pb);
    avformat_free_context(context);
  }
};

// One MP4 file with one H.264 stream.
class Mp4Encoder {
 public:
  // Writes to `file`; messages speak of `name`.
  Mp4Encoder(const std::filesystem::path& file, std::string name, pipeline::ImageSize size,
             const VideoOptions& options)
      : name_(std::move(name)), packet_(av_packet_alloc()) {
    if (packet_ == nullptr) throw Error(Code::kOutOfMemory, name_ + ": cannot start FFmpeg");
    open_encoder(size, options);
    open_container(file, options);
  }

  bool has_threads() const { return encoder_->thread_count == kEncoderThreads; }

  void encode(AVFrame* frame) {
    require(avcodec_send_frame(encoder_.get(), frame), "cannot encode");
    while (true) {
      const int code = avcodec_receive_packet(encoder_.get(), packet_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      require(code, "cannot encode");
      packet_->stream_index = stream_->index;
      packet_->duration = 1;
      av_packet_rescale_ts(packet_.get(), encoder_->time_base, stream_->time_base);
      require(av_interleaved_write_frame(container_.get(), packet_.get()), "cannot write");
    }
  }

  // Writes what the encoder holds and the index. Not calling it leaves an unusable file.
  void finish() {
    encode(nullptr);
    require(av_write_trailer(container_.get()), "cannot write");
    require(container_->pb->error, "cannot write");
    require(avio_closep(&container_->pb), "cannot close");
  }

 private:
  void require(int code, const char* what) const {
    if (code >= 0) return;
    throw Error(code == AVERROR(ENOMEM) ? Code::kOutOfMemory : Code::kIo,
                name_ + ": " + what + " the video: " + ffmpeg_message(code));
  }

  void open_encoder(pipeline::ImageSize size, const VideoOptions& options) {
    const int code = try_encoder(size, options, kEncoderThreads);
    if (code >= 0) return;
    // Of one thread x264 is the caller's alone: what is left where no more can be made.
    if (try_encoder(size, options, 1) < 0) require(code, "cannot set up");
  }

  // Returns what avcodec_open2() does.
  int try_encoder(pipeline::ImageSize size, const VideoOptions& options, int threads) {
    const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
    if (codec == nullptr) {
      throw Error(Code::kUnsupported, name_ + ": FFmpeg was built without libx264");
    }
    encoder_.reset(avcodec_alloc_context3(codec));
    if (encoder_ == nullptr) throw Error(Code::kOutOfMemory, name_ + ": cannot start libx264");
    constexpr int kLargestDenominator = 1001;
    encoder_->framerate = av_d2q(options.fps, kLargestDenominator * 240);
    encoder_->time_base = av_inv_q(encoder_->framerate);
    encoder_->width = static_cast<int>(size.width);
    encoder_->height = static_cast<int>(size.height);
    encoder_->pix_fmt = AV_PIX_FMT_YUV420P;
    tag_colors(*encoder_);
    encoder_->chroma_sample_location = AVCHROMA_LOC_LEFT;
    encoder_->thread_count = threads;
    encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    void* settings = encoder_->priv_data;
    require(av_opt_set(settings, "preset", options.preset.c_str(), 0), "cannot set up");
    if (cpu_has(cpu_features(), kCpuAvx512)) {
      // x264's AVX-512 code gives other bits from run to run with several threads (core 164, seen
      // on Zen 5). Such a processor has AVX2.
      require(av_opt_set(settings, "x264-params", "asm=avx2", 0), "cannot set up");
    }
    require(av_opt_set_double(settings, "crf", options.crf, 0), "cannot set up");
    return avcodec_open2(encoder_.get(), codec, nullptr);
  }

  void open_container(const std::filesystem::path& file, const VideoOptions& options) {
    AVFormatContext* container = nullptr;
    const std::string url = "file:" + file.string();
    require(avformat_alloc_output_context2(&container, nullptr, "mp4", url.c_str()),
            "cannot set up");
    container_.reset(container);
    stream_ = avformat_new_stream(container, nullptr);
    if (stream_ == nullptr) throw Error(Code::kOutOfMemory, name_ + ": cannot start the MP4");
    require(avcodec_parameters_from_context(stream_->codecpar, encoder_.get()), "cannot set up");
    stream_->time_base = encoder_->time_base;
    stream_->avg_frame_rate = encoder_->framerate;
    for (const auto& [key, value] : options.metadata) {
      require(av_dict_set(&container->metadata, key.c_str(), value.c_str(), 0), "cannot set up");
    }
    require(avio_open(&container->pb, url.c_str(), AVIO_FLAG_WRITE), "cannot write");
    require(av_opt_set(container->priv_data, "movflags", "+faststart", 0), "cannot set up");
    require(avformat_write_header(container, nullptr), "cannot write");
  }

  std::string name_;
  std::unique_ptr<AVPacket, Free> packet_;
  std::unique_ptr<AVCodecContext, Free> encoder_;
  std::unique_ptr<AVFormatContext, Free> container_;
  AVStream* stream_ = nullptr;  // of container_
};

class Mp4Sink : public VideoSink {
 public:
  Mp4Sink(AtomicFile& file, pipeline::ImageSize size, const VideoOptions& options)
      : converter_(size, AV_PIX_FMT_YUV420P),
        encoder_(file.temporary_path(), file.path().string(), size, options) {}

  void add(std::span<const uint8_t> rgb) override {
    AVFrame* frame = converter_.convert(rgb);
    frame->pts = frames_++;
    encoder_.encode(frame);
  }
  void finish() override { encoder_.finish(); }
  std::string notice() const override {
    if (encoder_.has_threads()) return "";
    return "the system has no threads left for the video encoder; it works with one, slower, and "
           "the bytes of the video are not those of other runs";
  }

 private:
  FrameConverter converter_;
  Mp4Encoder encoder_;
  int64_t frames_ = 0;
};

}  // namespace

std::unique_ptr<VideoSink> open_mp4(AtomicFile& file, pipeline::ImageSize size,
                                    const VideoOptions& options) {
  check_options(size, options);
  return std::make_unique<Mp4Sink>(file, size, options);
}

void write_mp4(const std::filesystem::path& path, const RgbVideo& video,
               const VideoOptions& options) {
  check_frames(video);
  AtomicFile file(path);
  open_mp4(file, video.size, options)->add_all(video);
  file.commit();
}

}  // namespace mxvideo::media
