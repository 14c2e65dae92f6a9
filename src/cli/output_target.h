// Where and how a video is written, decided and checked before the generation starts.
#pragma once

#include <map>
#include <string>

#include "tensor/tensor.h"

namespace mxvideo::cli {

enum class OutputFormat : uint8_t { kMp4, kWebp, kY4m, kPngFrames };

struct OutputTarget {
  std::string path;  // "-": standard output
  OutputFormat format = OutputFormat::kMp4;
};

// `format_name` ("mp4", "webp", "y4m", "png" or empty) wins over the ending of `path`. Throws
// Code::kInvalidArgument when the format cannot be told, or anything but y4m would go to standard
// output; Code::kIo when the directory is not there or not writable, or frames would overwrite
// something.
OutputTarget parse_output_target(const std::string& path, const std::string& format_name);

// Checks that a file can be created beside `path`. Throws Code::kIo.
void check_writable(const std::string& path);

// video [frames, height, width, 3] in [-1, 1].
void write_video(const OutputTarget& target, const Tensor& video, double fps,
                 const std::map<std::string, std::string>& metadata);

}  // namespace mxvideo::cli
