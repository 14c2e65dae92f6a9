// Writes the middle of large pieces of a file past the page cache (O_DIRECT), which spares the copy
// into fresh pages: the larger part of the time that a sequential write of a model takes. Whole
// blocks only, so that no block is ever written both ways by different pieces; the edges, small
// pieces and all that a file system refuses are the caller's to write. Linux open(2), NOTES.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>

namespace mxvideo {

// Thread-safe; calls wait for one another.
class DirectWriter {
 public:
  // Opens nothing yet: small files never need it.
  explicit DirectWriter(std::filesystem::path path);
  ~DirectWriter();
  DirectWriter(const DirectWriter&) = delete;
  DirectWriter& operator=(const DirectWriter&) = delete;

  // The bytes [begin, end) of the file are written, the rest of the piece is not. `error`: errno of
  // a write that failed, 0 for one that the file system refuses to do directly.
  struct Written {
    int64_t begin = 0, end = 0;
    int error = 0;
  };

  // Writes the whole blocks of a piece of at least 16 KiB; of a smaller one, or where the file
  // system refuses, nothing. No other piece may overlap it.
  Written write(int64_t offset, std::span<const std::byte> piece);

 private:
  struct Free {
    void operator()(std::byte* buffer) const;
  };

  bool open_once();

  const std::filesystem::path path_;
  std::mutex mutex_;
  bool opened_ = false;
  int fd_ = -1;  // also when the file system refused
  std::unique_ptr<std::byte, Free> buffer_;
};

}  // namespace mxvideo
