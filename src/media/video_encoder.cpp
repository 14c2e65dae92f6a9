#include <cerrno>
#include <vector>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/system/cpu_features.h"
#include "media/ffmpeg.h"
#include "media/frame_converter.h"
#include "media/video_sink.h"

namespace mxvideo::media {
namespace {

// x264's bits depend on its number of threads, so it is not this machine's.
constexpr int kEncoderThreads = 4;

void check_rate(double fps) {
  if (fps >= 1 && fps <= 240) return;
  throw Error(Code::kInvalidArgument,
              "frames per second: expected 1 to 240, got " + std::to_string(fps));
}

// FFmpeg's name.
std::string muxer_of(Container container) {
  return container == Container::kMkv ? "matroska" : std::string(container_name(container));
}

struct Free {
  void operator()(AVCodecContext* context) const {
    ffmpeg::codecs().avcodec_free_context(&context);
  }
  void operator()(AVPacket* packet) const { ffmpeg::codecs().av_packet_free(&packet); }
  void operator()(AVFormatContext* context) const {
    ffmpeg::formats().avio_closep(&context->pb);
    ffmpeg::formats().avformat_free_context(context);
  }
};

// One file with one stream.
class VideoEncoder {
 public:
  // Writes to `file`; messages speak of `name`.
  VideoEncoder(const std::filesystem::path& file, std::string name, ImageSize size,
               const Encoding& encoding, const VideoOptions& options)
      : name_(std::move(name)), encoding_(encoding), packet_(ffmpeg::codecs().av_packet_alloc()) {
    if (packet_ == nullptr) throw Error(Code::kOutOfMemory, name_ + ": cannot start FFmpeg");
    open_encoder(size, options.fps);
    open_container(file, options);
  }

  bool has_threads() const { return encoder_->thread_count == kEncoderThreads; }

  void encode(AVFrame* frame) {
    require(ffmpeg::codecs().avcodec_send_frame(encoder_.get(), frame), "cannot encode");
    while (true) {
      const int code = ffmpeg::codecs().avcodec_receive_packet(encoder_.get(), packet_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      require(code, "cannot encode");
      packet_->stream_index = stream_->index;
      packet_->duration = 1;
      ffmpeg::codecs().av_packet_rescale_ts(packet_.get(), encoder_->time_base, stream_->time_base);
      require(ffmpeg::formats().av_interleaved_write_frame(container_.get(), packet_.get()),
              "cannot write");
    }
  }

  // Writes what the encoder holds and the index. Not calling it leaves an unusable file.
  void finish() {
    encode(nullptr);
    require(ffmpeg::formats().av_write_trailer(container_.get()), "cannot write");
    require(container_->pb->error, "cannot write");
    require(ffmpeg::formats().avio_closep(&container_->pb), "cannot close");
  }

 private:
  void require(int code, const char* what) const {
    if (code >= 0) return;
    throw Error(code == AVERROR(ENOMEM) ? Code::kOutOfMemory : Code::kIo,
                name_ + ": " + what + " the video: " + ffmpeg_message(code));
  }

  void open_encoder(ImageSize size, double fps) {
    const int code = try_encoder(size, fps, kEncoderThreads);
    if (code >= 0) return;
    // Of one thread an encoder is the caller's alone: what is left where no more can be made.
    if (try_encoder(size, fps, 1) < 0) require(code, "cannot set up");
  }

  // Returns what avcodec_open2() does.
  int try_encoder(ImageSize size, double fps, int threads) {
    const AVCodec* codec = ffmpeg::codecs().avcodec_find_encoder_by_name(encoding_.codec.c_str());
    if (codec == nullptr) {
      throw Error(Code::kUnsupported, name_ + ": FFmpeg was built without " + encoding_.codec);
    }
    encoder_.reset(ffmpeg::codecs().avcodec_alloc_context3(codec));
    if (encoder_ == nullptr) {
      throw Error(Code::kOutOfMemory, name_ + ": cannot start " + encoding_.codec);
    }
    constexpr int kLargestDenominator = 1001;
    encoder_->framerate = ffmpeg::util().av_d2q(fps, kLargestDenominator * 240);
    encoder_->time_base = av_inv_q(encoder_->framerate);
    encoder_->width = static_cast<int>(size.width);
    encoder_->height = static_cast<int>(size.height);
    encoder_->pix_fmt = encoding_.format;
    tag_colors(*encoder_, encoding_.rgb);
    if (!encoding_.rgb) encoder_->chroma_sample_location = AVCHROMA_LOC_LEFT;
    encoder_->thread_count = threads;
    encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    set_codec_options(threads);
    return ffmpeg::codecs().avcodec_open2(encoder_.get(), codec, nullptr);
  }

  void set(const char* option, const std::string& value) {
    require(ffmpeg::util().av_opt_set(encoder_->priv_data, option, value.c_str(), 0),
            "cannot set up");
  }

  void set_codec_options(int threads) {
    const std::string& codec = encoding_.codec;
    if (!encoding_.preset.empty()) set("preset", encoding_.preset);
    if (codec.starts_with("libx264") && cpu_has(cpu_features(), kCpuAvx512)) {
      // x264's AVX-512 code gives other bits from run to run with several threads (core 164, seen
      // on Zen 5). Such a processor has AVX2.
      set("x264-params", "asm=avx2");
    }
    if (encoding_.crf) {
      require(ffmpeg::util().av_opt_set_double(encoder_->priv_data, "crf", *encoding_.crf, 0),
              "cannot set up");
      encoder_->bit_rate = 0;  // else VP9 takes the factor for a bound
    }
    if (codec == "libx265") {
      // Its bits depend on the frames that it works on at once. It prints by itself.
      set("x265-params", "log-level=none:frame-threads=" + std::to_string(threads > 1 ? 2 : 1) +
                             ":pools=" + std::to_string(threads));
      const bool quicktime =
          encoding_.container == Container::kMp4 || encoding_.container == Container::kMov;
      if (quicktime) encoder_->codec_tag = MKTAG('h', 'v', 'c', '1');  // what Apple's players read
    }
    if (codec == "prores_ks") {
      set("profile", encoding_.format == AV_PIX_FMT_YUV444P10LE ? "4444" : "hq");
      set("vendor", "apl0");
    }
    if (codec == "ffv1") {
      encoder_->level = 3;
      encoder_->gop_size = 1;
      encoder_->slices = kEncoderThreads;
      set("slicecrc", "1");
    }
  }

  void open_container(const std::filesystem::path& file, const VideoOptions& options) {
    AVFormatContext* container = nullptr;
    const std::string url = "file:" + file.string();
    require(ffmpeg::formats().avformat_alloc_output_context2(
                &container, nullptr, muxer_of(options.container).c_str(), url.c_str()),
            "cannot set up");
    container_.reset(container);
    stream_ = ffmpeg::formats().avformat_new_stream(container, nullptr);
    if (stream_ == nullptr) throw Error(Code::kOutOfMemory, name_ + ": cannot start the container");
    require(ffmpeg::codecs().avcodec_parameters_from_context(stream_->codecpar, encoder_.get()),
            "cannot set up");
    stream_->time_base = encoder_->time_base;
    stream_->avg_frame_rate = encoder_->framerate;
    for (const auto& [key, value] : options.metadata) {
      require(ffmpeg::util().av_dict_set(&container->metadata, key.c_str(), value.c_str(), 0),
              "cannot set up");
    }
    require(ffmpeg::formats().avio_open(&container->pb, url.c_str(), AVIO_FLAG_WRITE),
            "cannot write");
    if (options.container == Container::kMp4 || options.container == Container::kMov) {
      // The older texts of QuickTime end at 64 KiB, which a recipe may exceed.
      const char* flags =
          options.container == Container::kMp4 ? "+faststart" : "+faststart+use_metadata_tags";
      require(ffmpeg::util().av_opt_set(container->priv_data, "movflags", flags, 0),
              "cannot set up");
    } else {
      container->flags |= AVFMT_FLAG_BITEXACT;  // no random identifiers
    }
    require(ffmpeg::formats().avformat_write_header(container, nullptr), "cannot write");
  }

  std::string name_;
  Encoding encoding_;
  std::unique_ptr<AVPacket, Free> packet_;
  std::unique_ptr<AVCodecContext, Free> encoder_;
  std::unique_ptr<AVFormatContext, Free> container_;
  AVStream* stream_ = nullptr;  // of container_
};

class EncoderSink : public VideoSink {
 public:
  EncoderSink(AtomicFile& file, ImageSize size, const Encoding& encoding,
              const VideoOptions& options)
      : deep_(encoding.deep),
        converter_(size, encoding.format, ColorMatrix::kBt709, encoding.deep),
        encoder_(file.temporary_path(), file.path().string(), size, encoding, options) {}

  bool deep() const override { return deep_; }
  void add(std::span<const uint8_t> rgb) override {
    if (!deep_) return encode(converter_.convert(rgb));
    constexpr uint16_t kWiden = 257;  // 255 becomes 65535
    deep_frame_.assign(rgb.begin(), rgb.end());
    for (uint16_t& sample : deep_frame_) sample = static_cast<uint16_t>(sample * kWiden);
    add_deep(deep_frame_);
  }
  void add_deep(std::span<const uint16_t> rgb) override { encode(converter_.convert(rgb)); }
  void finish() override { encoder_.finish(); }
  std::string notice() const override {
    if (encoder_.has_threads()) return "";
    return "the system has no threads left for the video encoder; it works with one, slower, and "
           "the bytes of the video are not those of other runs";
  }

 private:
  void encode(AVFrame* frame) {
    frame->pts = frames_++;
    encoder_.encode(frame);
  }

  bool deep_;
  FrameConverter converter_;
  VideoEncoder encoder_;
  std::vector<uint16_t> deep_frame_;
  int64_t frames_ = 0;
};

}  // namespace

std::unique_ptr<VideoSink> open_video_file(AtomicFile& file, ImageSize size,
                                           const VideoOptions& options) {
  check_rate(options.fps);
  const Encoding encoding = resolve_encoding(options.container, options.encoding, size);
  return std::make_unique<EncoderSink>(file, size, encoding, options);
}

void write_video_file(const std::filesystem::path& path, const RgbVideo& video,
                      const VideoOptions& options) {
  check_frames(video);
  AtomicFile file(path);
  open_video_file(file, video.size, options)->add_all(video);
  file.commit();
}

}  // namespace mxvideo::media
