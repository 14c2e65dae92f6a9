#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWriteBackBytes = 1 << 20;

// Temporary names known to the signal handler: fixed storage, because a handler may not allocate.
struct OpenFile {
  std::atomic<bool> active{false};
  std::array<char, 4096> name{};
};
std::array<OpenFile, 16> open_files;

void remember(const fs::path& path) {
  const std::string text = path.string();
  for (OpenFile& slot : open_files) {
    if (slot.active.load() || text.size() >= slot.name.size()) continue;
    std::memcpy(slot.name.data(), text.c_str(), text.size() + 1);
    slot.active.store(true);
    return;
  }
}

void forget(const fs::path& path) {
  const std::string text = path.string();
  for (OpenFile& slot : open_files) {
    if (slot.active.load() && text == slot.name.data()) slot.active.store(false);
  }
}

[[noreturn]] void fail(const fs::path& path, const char* what) {
  throw Error(Code::kIo, path.string() + ": " + what + ": " + std::strerror(errno));
}

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

bool sync(int fd) {
  while (::fsync(fd) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path)
    : path_(path),
      temporary_(path.string() + ".partial-" + std::to_string(::getpid())),
      direct_(temporary_) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail(temporary_, "cannot create");
  remember(temporary_);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!committed_) {
    std::error_code ignored;
    fs::remove(temporary_, ignored);
  }
  forget(temporary_);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::allocate(int64_t bytes) {
  if (bytes == 0) return;
  // Not posix_fallocate(): where the file system cannot reserve, glibc would write a byte per
  // block.
  while (::fallocate(fd_, 0, 0, bytes) != 0) {
    if (errno == EINTR) continue;
    // Such a file system reports a full disk when the bytes are written.
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return;
    fail(path_, ("cannot reserve " + std::to_string(bytes) + " bytes").c_str());
  }
}

void AtomicFile::write_at(int64_t offset, std::span<const std::byte> bytes) {
  const DirectWriter::Written direct = direct_.write(offset, bytes);
  if (direct.error != 0) {
    errno = direct.error;
    fail(path_, "cannot write");
  }
  write_cached(offset, bytes.first(static_cast<size_t>(direct.begin - offset)));
  write_cached(direct.end, bytes.subspan(static_cast<size_t>(direct.end - offset)));
}

void AtomicFile::write_cached(int64_t offset, std::span<const std::byte> bytes) {
  const int64_t begin = offset;
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += written;
  }
  // The disk begins now rather than in commit(), which still waits for it and reports its errors.
  if (offset - begin >= kWriteBackBytes) {
    ::sync_file_range(fd_, begin, offset - begin, SYNC_FILE_RANGE_WRITE);
  }
}

void AtomicFile::commit() {
  if (!sync(fd_)) fail(path_, "cannot sync");
  // Linux releases the descriptor even when it reports EINTR, and the bytes are on the disk.
  if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) fail(path_, "cannot close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "cannot rename into place");
  committed_ = true;
  sync_directory(directory_of(path_));
}

void sync_directory(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail(path, "cannot open to sync");
  // EINVAL: a file system without directories that could be synced.
  const bool synced = sync(fd) || errno == EINVAL;
  const int error = errno;
  ::close(fd);
  errno = error;
  if (!synced) fail(path, "cannot sync");
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void remove_open_atomic_files() noexcept {
  for (const OpenFile& slot : open_files) {
    if (slot.active.load()) ::unlink(slot.name.data());
  }
}

std::string read_file(const fs::path& path, size_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const Code code = errno == ENOENT || errno == ENOTDIR ? Code::kNotFound : Code::kIo;
    throw Error(code, path.string() + ": cannot open: " + std::strerror(errno));
  }
  std::string text;
  std::array<char, 65536> chunk;
  ssize_t got = 0;
  while ((got = ::read(fd, chunk.data(), chunk.size())) > 0 && text.size() <= limit) {
    text.append(chunk.data(), static_cast<size_t>(got));
  }
  const int error = errno;
  ::close(fd);
  if (got < 0) throw Error(Code::kIo, path.string() + ": cannot read: " + std::strerror(error));
  if (text.size() > limit) {
    throw Error(Code::kCorruptFile,
                path.string() + ": larger than " + std::to_string(limit) + " bytes");
  }
  return text;
}

}  // namespace mxvideo
