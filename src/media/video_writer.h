// A finished video to MP4, MOV, MKV or WebM (through FFmpeg's libraries), animated WebP
// (libwebpmux), Y4M or PNG frames.
//
// Files appear whole or not at all: a temporary name in the same directory, synced, renamed; a
// directory of frames likewise. Any failure, also of the last write, is an Error and leaves nothing
// behind. FFmpeg prints nothing. Not thread-safe per call; independent calls may run in parallel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "media/rgb_image.h"
#include "media/video_encoding.h"

namespace mxvideo::media {

// RGB bytes, [frames, height, width, 3].
struct RgbVideo {
  int64_t frames = 0;
  ImageSize size;
  std::vector<uint8_t> pixels;

  std::span<const uint8_t> frame(int64_t index) const;
};

// Throws Code::kInvalidArgument when there is none.
void check_frames(const RgbVideo& video);

// What is said about a video in its file: "title" and "comment", UTF-8.
using Metadata = std::map<std::string, std::string>;

struct VideoOptions {
  double fps = 16;
  Container container = Container::kMp4;
  // Without a wish H.264 4:2:0 by x264, crf 25 (SGLang's), preset "fast"; VP9 in WebM.
  EncodingChoice encoding = {};
  Metadata metadata = {};
};

// MP4 and MOV have their index first, so that players can start while they load. Colours are
// converted with the BT.709 matrix to limited range, or stay RGB, and are tagged so; primaries are
// BT.709 and the transfer curve sRGB's, which is what the pixels of generated frames mean.
// Throws as resolve_encoding(), Code::kInvalidArgument for options out of range,
// Code::kUnsupported when FFmpeg lacks the encoder, Code::kIo otherwise.
void write_video_file(const std::filesystem::path& path, const RgbVideo& video,
                      const VideoOptions& options);

struct WebpOptions {
  double fps = 16;
  double quality = 90;     // of libwebp's lossy compression, 0 to 100
  Metadata metadata = {};  // as XMP: dc:title and dc:description
};

// Animated WebP that repeats for ever: a moving picture for a web page. Lossy. A frame that equals
// the one before is no frame of the file: the one before lasts longer. Throws
// Code::kInvalidArgument for sides above 16383 or options out of range, Code::kOutOfMemory.
std::vector<std::byte> encode_webp(const RgbVideo& video, const WebpOptions& options);
void write_webp(const std::filesystem::path& path, const RgbVideo& video,
                const WebpOptions& options);

// YUV4MPEG2 4:4:4, 8 bits, limited range: every player and encoder reads it from a pipe. It cannot
// say by which matrix; FFmpeg and what builds on it assume BT.601, so this is BT.601. It has no
// room for metadata either: FFmpeg reads a header of at most 96 bytes. `write` receives consecutive
// pieces and throws to stop.
void write_y4m(const RgbVideo& video, double fps,
               FunctionRef<void(std::span<const std::byte>)> write);
void write_y4m_file(const std::filesystem::path& path, const RgbVideo& video, double fps);

// DIRECTORY/00000.png … , each with the metadata. The directory must not exist yet;
// Code::kInvalidArgument otherwise.
void write_png_frames(const std::filesystem::path& directory, const RgbVideo& video,
                      const Metadata& metadata = {});

}  // namespace mxvideo::media
