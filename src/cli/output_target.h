// Where results go: decided, checked and opened before the work starts, so that an output that
// cannot be written, exists already or is an input fails in the first second.
//
// Not thread-safe. Errors: Code::kInvalidArgument for what the user must name otherwise, Code::kIo
// for what the system refuses.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/file/atomic_file.h"
#include "media/frame_sink.h"
#include "media/video_encoding.h"
#include "media/video_sink.h"

namespace mxvideo::cli {

enum class OutputFormat : uint8_t { kMp4, kMov, kMkv, kWebm, kWebp, kY4m, kPngFrames };

struct OutputTarget {
  std::string path;  // "-": standard output
  OutputFormat format = OutputFormat::kMp4;
  media::EncodingChoice encoding = {};  // of the first four
};

// The names of the formats, in the order of the enumeration: "mp4", …, "png".
std::vector<std::string> output_format_names();

// `format_name` (one of those, or empty) wins over the ending of `path`. Throws
// Code::kInvalidArgument when the format cannot be told, anything but y4m would go to standard
// output, or standard output is a terminal; Code::kIo when frames would go to a directory that
// exists, unless the name is `chosen` and another one will do.
OutputTarget parse_output_target(const std::string& path, const std::string& format_name,
                                 bool chosen = false);
// The first two of these alone.
OutputFormat output_format_of(const std::string& path, const std::string& format_name);

// Checks that a file can be created beside `path`. Throws Code::kIo.
void check_writable(const std::string& path);

// Takes the wish for the target, after checking it against the format and the size. Throws
// Code::kInvalidArgument when the format has no codec to choose, else as media::resolve_encoding().
void choose_encoding(OutputTarget& target, const media::EncodingChoice& choice,
                     media::ImageSize size);

// Codec, pixel format and quality of the target, decided; null for the other formats.
nlohmann::ordered_json encoding_json(const OutputTarget& target, media::ImageSize size);

// What a command reads and writes. No output may be an input or another output, however it is
// spelled: files are compared by device and inode, links followed.
class OutputPaths {
 public:
  explicit OutputPaths(bool overwrite)
      : existing_(overwrite ? Existing::kReplace : Existing::kKeep) {}

  // A file, or a directory with all files below it. One that is not there is nobody's output.
  void add_input(const std::filesystem::path& path);
  // Checks an output, "" for none: that it can be created, is neither an input nor an earlier
  // output and, unless it may be overwritten, does not exist.
  void add_output(const std::string& path);
  // The same without the last check: for names that are chosen so that they do not exist.
  void add_chosen_output(const std::string& path);
  // A directory that is made by who writes it, "" for none: compared only.
  void add_directory(const std::string& path);

  Existing existing() const { return existing_; }
  // The output, opened as the only writer's; nullptr for "".
  std::unique_ptr<AtomicFile> open(const std::string& path) const;

 private:
  using File = std::pair<uint64_t, uint64_t>;                // device and inode
  using Name = std::tuple<uint64_t, uint64_t, std::string>;  // of the directory, and name in it

  void add_name(const std::filesystem::path& path);

  Existing existing_;
  std::map<File, std::string> inputs_;
  std::map<File, std::string> output_files_;
  std::map<Name, std::string> output_names_;
};

// The video of a run, from its name to its last byte.
class VideoOutput {
 public:
  // Opens the file or directory. `chosen`: the name is no user's; where it is taken, "-2", "-3" …
  // is added.
  VideoOutput(OutputTarget target, Existing existing, bool chosen);

  const OutputTarget& target() const { return target_; }
  // Where the video lies after commit(); "-": standard output.
  const std::string& path() const { return target_.path; }
  // Makes the encoder. Returns a line for the user or "".
  std::string prepare(media::ImageSize size, double fps,
                      const std::map<std::string, std::string>& metadata);
  // After prepare(): encodes frames as they come.
  void add(const media::FramePart& part);
  // After the last of them: finishes the file and puts it in place.
  void commit();

 private:
  void open(Existing existing);
  void open_free_name();

  OutputTarget target_;
  std::unique_ptr<AtomicFile> file_;
  std::unique_ptr<AtomicDirectory> frames_;
  std::unique_ptr<media::VideoSink> video_;
  std::optional<media::FrameSink> sink_;
};

}  // namespace mxvideo::cli
