// A directory that appears whole or not at all, and that a killed job can finish later.
//
// Everything is written under "<path>.partial", which is locked (flock) for the lifetime of the
// object. Each file gets its final name there once it is synced, and a line in the journal
// (".mxvideo-journal.json": job, name, bytes, SHA-256, note). commit() writes "complete.json", the
// sizes and hashes of all files, as the last file, then renames the directory to `path`, which is
// the commit point: whatever happens before leaves `path` as it was. With `overwrite` the two
// directories exchange names in one step, so that the old or the new one is there at any time; the
// old one is removed afterwards. The journal goes last of all: one beside a complete.json says
// that the old directory may still have to be removed, which the next writer does.
//
// A job that finds a partial directory of the same job removes what no line of the journal claims
// and reuses the files whose hash still matches; one of another job is an error unless
// `discard_partial`. Nothing is ever removed from a directory that this class did not write.
//
// Errors: Code::kInvalidArgument when `path` exists (unless `overwrite`), when its parent does not,
// when another process holds the lock, when `path` is, contains or lies inside of an input;
// Code::kIo for what the system refuses, disk full included; Code::kUnsupported for `overwrite` on
// a file system that cannot exchange names. Not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/output/directory_tools.h"
#include "convert/output/file_record.h"

namespace mxvideo::convert {

struct OutputDirectoryOptions {
  std::filesystem::path path;
  // What makes two jobs the same: command, options, names, sizes and times of the inputs.
  std::string job;
  std::vector<std::filesystem::path> inputs;  // files or directories; never overwritten
  // Of the whole job; checked against the free space, with 5 % on top and less what an earlier run
  // has written, before anything.
  int64_t bytes_needed = 0;
  // Replace an existing directory at commit(): an empty one, or a complete one that holds nothing
  // but the files of its complete.json.
  bool overwrite = false;
  bool discard_partial = false;  // start anew, whatever job the partial directory is of
};

class OutputDirectory {
 public:
  explicit OutputDirectory(OutputDirectoryOptions options);
  // Leaves the partial directory in place: it is what a rerun continues from. Removes it when no
  // file was finished.
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  // Where to write `relative`; creates its folders. The caller writes there through AtomicFile (or
  // anything built on it) and then calls finished(). Throws Code::kInvalidArgument for a path that
  // leaves the directory or names one of its own files.
  std::filesystem::path path_of(const std::filesystem::path& relative);

  // The record of a file that an earlier run of the same job finished and whose bytes still have
  // the recorded hash; nullopt: write it (again).
  std::optional<FileRecord> reusable(const std::filesystem::path& relative);

  // Notes the file in the journal; reads it to hash it unless whoever wrote it knows the `sha256`.
  const FileRecord& finished(const std::filesystem::path& relative,
                             nlohmann::ordered_json note = nullptr, std::string sha256 = "");

  void write_text(const std::filesystem::path& relative, std::string_view text);
  // Takes over an input file: a hard link, which costs nothing but may be refused (Code::kIo), or
  // with `copy` the bytes.
  void add_file(const std::filesystem::path& relative, const std::filesystem::path& source,
                bool copy);

  // Files finished so far.
  const FileRecords& files() const { return files_; }
  // Where the result will be.
  const std::filesystem::path& target() const { return options_.path; }

  // `summary` becomes the member "summary" of complete.json. After an exception target() may be
  // there already; it is whole then.
  void commit(const nlohmann::ordered_json& summary = nullptr);

 private:
  void check_path();
  void check_input(const std::filesystem::path& input) const;
  void check_target() const;
  void finish_interrupted_commit();
  void take_over_partial();
  void check_space() const;
  void leave() noexcept;
  void save_journal() const;
  std::string key_of(const std::filesystem::path& relative) const;
  const FileRecord& add_record(const std::string& key, FileRecord record);
  void replace_target();

  OutputDirectoryOptions options_;
  std::filesystem::path partial_;
  std::filesystem::path parent_;
  Descriptor lock_;
  bool owned_ = false;  // the partial directory is of this job
  bool committed_ = false;
  FileRecords files_;
  FileRecords journal_;  // of an earlier run, not yet claimed
};

}  // namespace mxvideo::convert
