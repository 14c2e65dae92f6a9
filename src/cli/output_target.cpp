#include "cli/output_target.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/system/system_error.h"
#include "media/video_sink.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;

bool ends_with_separator(const std::string& path) { return !path.empty() && path.back() == '/'; }

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

constexpr std::array<std::pair<const char*, OutputFormat>, 7> kFormats = {
    {{"mp4", OutputFormat::kMp4},
     {"mov", OutputFormat::kMov},
     {"mkv", OutputFormat::kMkv},
     {"webm", OutputFormat::kWebm},
     {"webp", OutputFormat::kWebp},
     {"y4m", OutputFormat::kY4m},
     {"png", OutputFormat::kPngFrames}}};

std::optional<media::Container> container_of(OutputFormat format) {
  switch (format) {
    case OutputFormat::kMp4:
      return media::Container::kMp4;
    case OutputFormat::kMov:
      return media::Container::kMov;
    case OutputFormat::kMkv:
      return media::Container::kMkv;
    case OutputFormat::kWebm:
      return media::Container::kWebm;
    default:
      return std::nullopt;
  }
}

void write_standard_output(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw system_error("standard output", "cannot write", errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

std::optional<std::pair<uint64_t, uint64_t>> identity(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return std::pair<uint64_t, uint64_t>(status.st_dev, status.st_ino);
}

std::string numbered(const OutputTarget& target, int number) {
  if (number == 1) return target.path;
  const fs::path path = target.path;
  return (path.parent_path() /
          (path.stem().string() + "-" + std::to_string(number) + path.extension().string()))
      .string();
}

}  // namespace

void check_writable(const std::string& path) {
  const fs::path directory = directory_of(path);
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    throw Error(Code::kIo, path + ": there is no directory " + directory.string());
  }
  if (::access(directory.c_str(), W_OK) != 0) {
    throw system_error(path, "cannot write to " + directory.string(), errno);
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

OutputFormat output_format_of(const std::string& path, const std::string& name) {
  std::string wanted = name;
  if (wanted.empty() && path == "-") wanted = "y4m";
  if (wanted.empty() && ends_with_separator(path)) wanted = "png";
  if (wanted.empty()) {
    const std::string extension = lower(fs::path(path).extension().string());
    // Frames go into a directory; FILE.png is none.
    if (!extension.empty() && extension != ".png") wanted = extension.substr(1);
  }
  for (const auto& [known, format] : kFormats) {
    if (wanted == known) return format;
  }
  throw Error(Code::kInvalidArgument,
              "--output " + path +
                  ": expected a name ending in .mp4, .mov, .mkv, .webm, .webp, .y4m or / (PNG "
                  "frames), or --output-format");
}

OutputTarget parse_output_target(const std::string& path, const std::string& format_name,
                                 bool chosen) {
  OutputTarget target{.path = path, .format = output_format_of(path, format_name)};
  if (path == "-") {
    if (target.format != OutputFormat::kY4m) {
      throw Error(Code::kInvalidArgument,
                  "--output -: only y4m can go to standard output, got " + format_name);
    }
    if (::isatty(STDOUT_FILENO) == 1) {
      throw Error(Code::kInvalidArgument,
                  "--output -: standard output is a terminal, which cannot show a video; send it "
                  "to a program or a file (| ffplay -, > video.y4m), or name a file");
    }
    return target;
  }
  if (target.format == OutputFormat::kPngFrames) {
    while (ends_with_separator(target.path) && target.path.size() > 1) target.path.pop_back();
    if (!chosen && name_exists(target.path)) {
      throw Error(Code::kIo, target.path + ": already there; frames go to a new directory");
    }
  }
  return target;
}

std::vector<std::string> output_format_names() {
  std::vector<std::string> names;
  for (const auto& [name, format] : kFormats) names.emplace_back(name);
  return names;
}

void choose_encoding(OutputTarget& target, const media::EncodingChoice& choice,
                     media::ImageSize size) {
  const std::optional<media::Container> container = container_of(target.format);
  if (container) {
    media::resolve_encoding(*container, choice, size);
  } else if (choice != media::EncodingChoice{}) {
    throw Error(Code::kInvalidArgument,
                "--codec, --crf, --preset and --pix-fmt are for mp4, mov, mkv and webm; --output " +
                    target.path + " is another format");
  }
  target.encoding = choice;
}

nlohmann::ordered_json encoding_json(const OutputTarget& target, media::ImageSize size) {
  const std::optional<media::Container> container = container_of(target.format);
  if (!container) return nullptr;
  const media::Encoding encoding = media::resolve_encoding(*container, target.encoding, size);
  nlohmann::ordered_json json = {{"container", media::container_name(encoding.container)},
                                 {"codec", encoding.codec},
                                 {"pixel_format", media::pixel_format_name(encoding.format)}};
  if (encoding.crf) json["crf"] = *encoding.crf;
  if (!encoding.preset.empty()) json["preset"] = encoding.preset;
  return json;
}

void OutputPaths::add_input(const fs::path& path) {
  if (path.empty()) return;
  if (const auto file = identity(path)) inputs_.emplace(*file, path.string());
  std::error_code error;
  if (!fs::is_directory(path, error)) return;
  constexpr auto kOptions = fs::directory_options::follow_directory_symlink |
                            fs::directory_options::skip_permission_denied;
  fs::recursive_directory_iterator entry(path, kOptions, error), end;
  constexpr int kDeepest = 16;  // of a chain of links
  while (!error && entry != end) {
    if (entry.depth() > kDeepest) entry.disable_recursion_pending();
    if (const auto file = identity(entry->path())) inputs_.emplace(*file, entry->path().string());
    entry.increment(error);
  }
}

void OutputPaths::add_name(const fs::path& path) {
  const auto refuse_pair = [&](const std::string& other) {
    throw Error(Code::kInvalidArgument,
                path.string() + " and " + other + " are one file; outputs need different files");
  };
  if (const auto file = identity(path)) {
    const auto input = inputs_.find(*file);
    if (input != inputs_.end()) {
      throw Error(Code::kInvalidArgument,
                  path.string() + ": writing it would overwrite " +
                      (input->second == path.string() ? "this input of the run"
                                                      : "the input " + input->second));
    }
    const auto [other, is_new] = output_files_.emplace(*file, path.string());
    if (!is_new) refuse_pair(other->second);
  }
  const auto directory = identity(directory_of(path));
  if (!directory) return;  // an error of its own, elsewhere
  const auto [other, is_new] = output_names_.emplace(
      Name(directory->first, directory->second, path.filename().string()), path.string());
  if (!is_new) refuse_pair(other->second);
}

void OutputPaths::add_directory(const std::string& path) {
  if (path.empty()) return;
  const fs::path name = path;
  add_name(name.has_filename() ? name : name.parent_path());
}

void OutputPaths::add_chosen_output(const std::string& path) {
  check_writable(path);
  add_name(path);
}

void OutputPaths::add_output(const std::string& path) {
  if (path.empty()) return;
  add_chosen_output(path);
  if (existing_ == Existing::kKeep && name_exists(path)) {
    throw Error(Code::kInvalidArgument, path + ": exists already (--overwrite replaces it)");
  }
}

std::unique_ptr<AtomicFile> OutputPaths::open(const std::string& path) const {
  return path.empty() ? nullptr : std::make_unique<AtomicFile>(path, existing_);
}

VideoOutput::VideoOutput(OutputTarget target, Existing existing, bool chosen)
    : target_(std::move(target)) {
  if (target_.path == "-") return;
  if (chosen) {
    open_free_name();
  } else {
    open(existing);
  }
}

void VideoOutput::open_free_name() {
  constexpr int kMostNames = 10'000;
  const OutputTarget first = target_;
  for (int number = 1;; ++number) {
    target_.path = numbered(first, number);
    try {
      open(Existing::kKeep);
      return;
    } catch (const Error& error) {  // the name is taken
      if (error.code() != Code::kInvalidArgument || number == kMostNames) throw;
    }
  }
}

void VideoOutput::open(Existing existing) {
  if (target_.format == OutputFormat::kPngFrames) {
    frames_ = std::make_unique<AtomicDirectory>(target_.path);
  } else {
    file_ = std::make_unique<AtomicFile>(target_.path, existing);
  }
}

std::string VideoOutput::prepare(media::ImageSize size, double fps,
                                 const std::map<std::string, std::string>& metadata) {
  if (const std::optional<media::Container> container = container_of(target_.format)) {
    video_ = media::open_video_file(
        *file_, size,
        {.fps = fps, .container = *container, .encoding = target_.encoding, .metadata = metadata});
  } else if (target_.format == OutputFormat::kWebp) {
    video_ = media::open_webp(*file_, size, {.fps = fps, .metadata = metadata});
  } else if (target_.format == OutputFormat::kPngFrames) {
    video_ = media::open_png_frames(*frames_, size, metadata);
  } else if (file_ == nullptr) {
    video_ = media::open_y4m(write_standard_output, size, fps);
  } else {
    video_ = media::open_y4m([this](std::span<const std::byte> bytes) { file_->write(bytes); },
                             size, fps);
  }
  sink_.emplace(*video_);
  return video_->notice();
}

void VideoOutput::add(const media::FramePart& part) {
  check(sink_.has_value(), "a video output is prepared before it is written");
  sink_->add(part);
}

void VideoOutput::commit() {
  check(sink_.has_value(), "a video output is prepared before it is written");
  sink_->finish();
  sink_.reset();
  video_.reset();
  if (file_ != nullptr) {
    file_->commit();
    target_.path = file_->path().string();
  } else if (frames_ != nullptr) {
    frames_->commit();
    target_.path = frames_->path().string();
  }
}

}  // namespace mxvideo::cli
