#include "base/file/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/system/system_error.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWriteBackBytes = 1 << 20;

[[noreturn]] void fail(const fs::path& path, std::string_view what) {
  throw system_error(path, what, errno);
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

// Unlike any other's, also of a process with the same number on another machine.
fs::path unique_name(const fs::path& path) {
  static std::atomic<uint32_t> counter{std::random_device()()};
  return path.string() + ".partial-" + std::to_string(::getpid()) + "-" +
         std::to_string(counter++ % 1'000'000);
}

[[noreturn]] void refuse_to_take(const fs::path& path, const fs::path& temporary) {
  if (errno != EWOULDBLOCK) fail(temporary, "cannot create");
  throw Error(Code::kInvalidArgument,
              path.string() + ": another process is writing it, to " + temporary.string());
}

void refuse_existing(const fs::path& path) {
  if (name_exists(path)) throw Error(Code::kInvalidArgument, path.string() + ": exists already");
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path)
    : path_(path), temporary_(unique_name(path)), direct_(temporary_) {
  const bool made = name_.create(temporary_, TemporaryName::Kind::kFile, [&] {
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return fd_ >= 0;
  });
  if (!made) fail(temporary_, "cannot create");
}

AtomicFile::AtomicFile(const fs::path& path, Existing existing)
    : path_(path), temporary_(reserved_name(path)), existing_(existing), direct_(temporary_) {
  const bool made = name_.create(temporary_, TemporaryName::Kind::kFile, [&] {
    lock_ = take_file_name(temporary_);
    return lock_.get() >= 0;
  });
  if (!made) refuse_to_take(path_, temporary_);
  fd_ = ::fcntl(lock_.get(), F_DUPFD_CLOEXEC, 0);
  try {
    if (fd_ < 0) fail(temporary_, "cannot open");
    if (existing_ == Existing::kKeep) refuse_existing(path_);
  } catch (...) {
    abandon();
    throw;
  }
}

AtomicFile::~AtomicFile() { abandon(); }

// The name goes before the lock: who takes the name over must find it free.
void AtomicFile::abandon() noexcept {
  if (!committed_) ::unlink(temporary_.c_str());
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  name_.forget();
  lock_.reset();
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
    fail(path_, "cannot reserve " + std::to_string(bytes) + " bytes");
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
  if (existing_ == Existing::kKeep) {
    path_ = rename_to_free_name(temporary_, path_);
  } else if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail(path_, "cannot rename into place");
  }
  committed_ = true;
  name_.forget();
  lock_.reset();
  sync_directory(directory_of(path_));
}

AtomicDirectory::AtomicDirectory(const fs::path& path)
    : path_(path), temporary_(reserved_name(path)) {
  refuse_existing(path_);
  const bool made = name_.create(temporary_, TemporaryName::Kind::kDirectory, [&] {
    lock_ = take_directory_name(temporary_);
    return lock_.get() >= 0;
  });
  if (!made) refuse_to_take(path_, temporary_);
}

AtomicDirectory::~AtomicDirectory() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void AtomicDirectory::commit() {
  path_ = rename_to_free_name(temporary_, path_);
  committed_ = true;
  name_.forget();
  lock_.reset();
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

std::string read_file(const fs::path& path, size_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw open_error(path, errno);
  std::string text;
  std::array<char, 65536> chunk;
  ssize_t got = 0;
  while ((got = ::read(fd, chunk.data(), chunk.size())) > 0 && text.size() <= limit) {
    text.append(chunk.data(), static_cast<size_t>(got));
  }
  const int error = errno;
  ::close(fd);
  if (got < 0) throw system_error(path, "cannot read", error);
  if (text.size() > limit) {
    throw Error(Code::kCorruptFile,
                path.string() + ": larger than " + std::to_string(limit) + " bytes");
  }
  return text;
}

}  // namespace mxvideo
