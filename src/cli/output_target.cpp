#include "cli/output_target.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "media/video_writer.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;

bool ends_with_separator(const std::string& path) { return !path.empty() && path.back() == '/'; }

OutputFormat format_of(const std::string& path, const std::string& name) {
  if (name == "mp4") return OutputFormat::kMp4;
  if (name == "webp") return OutputFormat::kWebp;
  if (name == "y4m") return OutputFormat::kY4m;
  if (name == "png") return OutputFormat::kPngFrames;
  if (path == "-") return OutputFormat::kY4m;
  const std::string extension = fs::path(path).extension().string();
  if (extension == ".mp4") return OutputFormat::kMp4;
  if (extension == ".webp") return OutputFormat::kWebp;
  if (extension == ".y4m") return OutputFormat::kY4m;
  if (ends_with_separator(path)) return OutputFormat::kPngFrames;
  throw Error(Code::kInvalidArgument, "--output " + path +
                                          ": expected a name ending in .mp4, .webp, .y4m or / "
                                          "(PNG frames), or --output-format");
}

void write_standard_output(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw Error(Code::kIo, std::string("standard output: cannot write: ") + std::strerror(errno));
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

}  // namespace

void check_writable(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  const fs::path directory = parent.empty() ? fs::path(".") : parent;
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    throw Error(Code::kIo, path + ": there is no directory " + directory.string());
  }
  if (::access(directory.c_str(), W_OK) != 0) {
    throw Error(Code::kIo,
                path + ": cannot write to " + directory.string() + ": " + std::strerror(errno));
  }
  // Room for the suffix of the temporary file.
  const long longest = ::pathconf(directory.c_str(), _PC_NAME_MAX);
  if (longest > 0 &&
      fs::path(path).filename().native().size() + 24 > static_cast<size_t>(longest)) {
    throw Error(Code::kIo, path + ": the name is too long");
  }
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) throw Error(Code::kIo, path + ": is a directory");
  // A device or pipe would be replaced by a file.
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw Error(Code::kIo, path + ": is no regular file; --output - writes y4m to a pipe");
  }
}

OutputTarget parse_output_target(const std::string& path, const std::string& format_name) {
  OutputTarget target{.path = path, .format = format_of(path, format_name)};
  if (path == "-") {
    if (target.format != OutputFormat::kY4m) {
      throw Error(Code::kInvalidArgument,
                  "--output -: only y4m can go to standard output, got " + format_name);
    }
    return target;
  }
  if (target.format == OutputFormat::kPngFrames) {
    while (ends_with_separator(target.path) && target.path.size() > 1) target.path.pop_back();
    std::error_code error;
    if (fs::exists(target.path, error)) {
      throw Error(Code::kIo, target.path + ": already there; frames go to a new directory");
    }
  }
  check_writable(target.path);
  return target;
}

void write_video(const OutputTarget& target, const Tensor& video, double fps,
                 const std::map<std::string, std::string>& metadata) {
  const media::RgbVideo frames = media::to_rgb_video(video);
  switch (target.format) {
    case OutputFormat::kMp4:
      media::write_mp4(target.path, frames, {.fps = fps, .metadata = metadata});
      return;
    case OutputFormat::kWebp:
      media::write_webp(target.path, frames, {.fps = fps});
      return;
    case OutputFormat::kPngFrames:
      media::write_png_frames(target.path, frames);
      return;
    case OutputFormat::kY4m:
      if (target.path == "-") {
        media::write_y4m(frames, fps,
                         [](std::span<const std::byte> bytes) { write_standard_output(bytes); });
      } else {
        media::write_y4m_file(target.path, frames, fps);
      }
      return;
  }
}

}  // namespace mxvideo::cli
