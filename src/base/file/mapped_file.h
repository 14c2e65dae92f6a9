// A read-only memory mapping of a whole file. Move-only; views into it live as long as it does.
// Thread-safe for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace mxvideo {

class MappedFile {
 public:
  // Throws Code::kNotFound when there is no such regular file, Code::kIo when it cannot be mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Drops the pages that lie wholly inside [offset, offset + length) from this process; reading
  // them again reads the file again.
  void release_pages(size_t offset, size_t length) const;

  // Throws Code::kIo when the file's size, time or identity changed since it was mapped; a file
  // that shrinks while it is read would otherwise raise SIGBUS later.
  void check_unchanged() const;

 private:
  void unmap();

  struct Identity {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t modified_seconds = 0, modified_nanoseconds = 0;
    bool operator==(const Identity&) const = default;
  };

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  Identity identity_;
};

}  // namespace mxvideo
