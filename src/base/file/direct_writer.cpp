#include "base/file/direct_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace mxvideo {
namespace {

constexpr int64_t kBlockBytes = 4096;  // a device with larger ones refuses, with EINVAL
constexpr int64_t kSmallestPiece = 4 * kBlockBytes;
constexpr int64_t kBufferBytes = 16 << 20;  // the device works on the parts of a write at once

// As ::pwrite.
ssize_t write_some(int fd, const std::byte* bytes, int64_t size, int64_t offset) {
  while (true) {
    const ssize_t written = ::pwrite(fd, bytes, static_cast<size_t>(size), offset);
    if (written >= 0 || errno != EINTR) return written;
  }
}

}  // namespace

void DirectWriter::Free::operator()(std::byte* buffer) const { std::free(buffer); }

DirectWriter::DirectWriter(std::filesystem::path path) : path_(std::move(path)) {}

DirectWriter::~DirectWriter() {
  if (fd_ >= 0) ::close(fd_);
}

bool DirectWriter::open_once() {
  if (opened_) return fd_ >= 0;
  opened_ = true;
  buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, kBufferBytes)));
  if (buffer_ != nullptr) fd_ = ::open(path_.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
  return fd_ >= 0;
}

DirectWriter::Written DirectWriter::write(int64_t offset, std::span<const std::byte> piece) {
  const auto size = static_cast<int64_t>(piece.size());
  Written result{.begin = offset, .end = offset};
  if (size < kSmallestPiece) return result;
  const std::lock_guard lock(mutex_);
  if (!open_once()) return result;
  const int64_t first = (offset + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  const int64_t last = (offset + size) / kBlockBytes * kBlockBytes;
  result.begin = result.end = first;
  while (result.end < last) {
    const int64_t part = std::min(kBufferBytes, last - result.end);
    std::memcpy(buffer_.get(), piece.data() + (result.end - offset), static_cast<size_t>(part));
    const ssize_t written = write_some(fd_, buffer_.get(), part, result.end);
    if (written == part) {
      result.end += part;
      continue;
    }
    if (written < 0 && errno != EINVAL) result.error = errno;
    if (written < 0 && errno == EINVAL) ::close(std::exchange(fd_, -1));
    // A short write may end within a block, which is written again.
    if (written > 0) result.end += written / kBlockBytes * kBlockBytes;
    break;
  }
  return result;
}

}  // namespace mxvideo
