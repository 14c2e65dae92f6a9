// Files that appear whole or not at all: written to a temporary name in the same directory, synced,
// renamed into place, directory synced. Not thread-safe except where stated; one writer per object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/file/descriptor.h"
#include "base/file/direct_writer.h"
#include "base/file/reserved_name.h"
#include "base/file/temporary_name.h"

namespace mxvideo {

class AtomicFile {
 public:
  // Under a temporary name of its own in the directory of `path`; commit() replaces `path`. Throws
  // Code::kIo when the directory cannot be written.
  explicit AtomicFile(const std::filesystem::path& path);
  // As the only writer of `path` while this object lives, for results that take long. Throws
  // Code::kInvalidArgument when another one has it, or when `path` exists and is kept; Code::kIo.
  AtomicFile(const std::filesystem::path& path, Existing existing);
  // Removes the temporary file unless commit() succeeded.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Where commit() puts the file, and has put it.
  const std::filesystem::path& path() const { return path_; }
  // For libraries that open the file themselves; they write here and close before commit().
  const std::filesystem::path& temporary_path() const { return temporary_; }

  // Appends. Throws Code::kIo (disk full, quota, …).
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);

  // Gives the file this size and reserves its space; does nothing on file systems that cannot.
  // Throws Code::kIo (disk full, quota, …).
  void allocate(int64_t bytes);
  // Writes at a position, from several threads for different ranges; no byte twice. Does not move
  // the end at which write() appends. Large pieces go past the page cache. Throws Code::kIo.
  void write_at(int64_t offset, std::span<const std::byte> bytes);

  // Syncs, renames to `path`, syncs the directory. Where `path` is kept and somebody made it since,
  // the file gets a free name beside it, "name-2.mp4", which path() returns: nothing is lost.
  // Throws Code::kIo.
  void commit();

 private:
  void abandon() noexcept;
  void write_cached(int64_t offset, std::span<const std::byte> bytes);

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  Existing existing_ = Existing::kReplace;
  TemporaryName name_;
  Descriptor lock_;
  int fd_ = -1;
  DirectWriter direct_;
  bool committed_ = false;
};

// A directory of files that appears whole or not at all, as AtomicFile does; it replaces nothing.
class AtomicDirectory {
 public:
  // Throws Code::kInvalidArgument when `path` exists or another writer has it; Code::kIo.
  explicit AtomicDirectory(const std::filesystem::path& path);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& temporary_path() const { return temporary_; }
  // As AtomicFile::commit(); the files in it are synced already.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  TemporaryName name_;
  Descriptor lock_;
  bool committed_ = false;
};

// Makes the names in a directory durable: files and folders that were made, renamed or removed.
// Throws Code::kIo.
void sync_directory(const std::filesystem::path& path);

// Writes a whole small file through AtomicFile.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// Reads a whole file. Throws Code::kNotFound, Code::kIo, or Code::kCorruptFile when it is larger
// than `limit` bytes.
std::string read_file(const std::filesystem::path& path, size_t limit);

}  // namespace mxvideo
