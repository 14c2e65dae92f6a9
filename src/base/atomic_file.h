// Files that appear whole or not at all: written to a temporary name in the same directory, synced,
// renamed into place, directory synced. Not thread-safe; one writer per object.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

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

  // Syncs, renames over `path`, syncs the directory. Throws Code::kIo.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
  bool committed_ = false;
};

// Writes a whole small file through AtomicFile.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// Removes the temporary files of every AtomicFile that is open now. Async-signal-safe: for the
// handler of a second Ctrl-C, when destructors will not run.
void remove_open_atomic_files() noexcept;

// Reads a whole file. Throws Code::kNotFound, Code::kIo, or Code::kCorruptFile when it is larger
// than `limit` bytes.
std::string read_file(const std::filesystem::path& path, size_t limit);

}  // namespace mxvideo
