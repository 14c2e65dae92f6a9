// Files that appear whole or not at all: written to a temporary name in the same directory, synced,
// renamed into place, directory synced. Not thread-safe except where stated; one writer per object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/direct_writer.h"

namespace mxvideo {

class AtomicFile {
 public:
  // Creates "<path>.partial-<pid>". Throws Code::kIo when the directory cannot be written.
  explicit AtomicFile(const std::filesystem::path& path);
  // Removes the temporary file unless commit() succeeded.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

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

  // Syncs, renames over `path`, syncs the directory. Throws Code::kIo.
  void commit();

 private:
  void write_cached(int64_t offset, std::span<const std::byte> bytes);

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
  DirectWriter direct_;
  bool committed_ = false;
};

// Makes the names in a directory durable: files and folders that were made, renamed or removed.
// Throws Code::kIo.
void sync_directory(const std::filesystem::path& path);

// Writes a whole small file through AtomicFile.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// Removes the temporary files of every AtomicFile that is open now. Async-signal-safe: for the
// handler of a second Ctrl-C, when destructors will not run.
void remove_open_atomic_files() noexcept;

// Reads a whole file. Throws Code::kNotFound, Code::kIo, or Code::kCorruptFile when it is larger
// than `limit` bytes.
std::string read_file(const std::filesystem::path& path, size_t limit);

}  // namespace mxvideo
