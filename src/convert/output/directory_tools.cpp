#include "convert/output/directory_tools.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/system/system_error.h"
#include "base/text/field.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCopyChunkBytes = 4u << 20;

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw system_error(path, what, errno);
}

// Runs calls of std::filesystem, whose exceptions name operation and path.
template <class Action>
auto with_io_errors(const Action& action) {
  try {
    return action();
  } catch (const fs::filesystem_error& error) {
    throw Error(system_code(error.code().value()),
                error.path1().string() + ": " + error.code().message());
  }
}

// True when something is left below `directory`.
bool prune(const fs::path& directory, const fs::path& relative,
           const std::function<bool(const std::string&)>& keep) {
  std::vector<fs::directory_entry> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    entries.push_back(entry);
  }
  bool left = false;
  for (const fs::directory_entry& entry : entries) {
    const fs::path name = relative / entry.path().filename();
    const bool is_folder = entry.symlink_status().type() == fs::file_type::directory;
    if (is_folder ? prune(entry.path(), name, keep) : keep(name.generic_string())) {
      left = true;
    } else {
      fs::remove(entry.path());
    }
  }
  return left;
}

bool same_file(int fd, const fs::path& path) {
  struct stat open {};
  struct stat named {};
  if (::fstat(fd, &open) != 0) fail(path, "cannot examine");
  if (::lstat(path.c_str(), &named) != 0) return false;
  return open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

}  // namespace

Descriptor lock_directory(const fs::path& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.get() < 0) fail(path, "cannot open the directory");
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) {
      throw Error(Code::kInvalidArgument,
                  path.string() + ": another process is writing this directory");
    }
    fail(path, "cannot lock");
  }
  return fd;
}

Descriptor make_locked_directory(const fs::path& path) {
  constexpr int kAttempts = 10;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) fail(path, "cannot create");
    Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd.get() < 0 && errno == ENOENT) continue;  // its owner finished since mkdir()
    fd = lock_directory(path);
    if (same_file(fd.get(), path)) return fd;
  }
  throw Error(Code::kInvalidArgument, path.string() + ": other processes keep replacing it");
}

std::vector<std::string> files_below(const fs::path& directory) {
  return with_io_errors([&] {
    std::vector<std::string> files;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
      if (entry.symlink_status().type() == fs::file_type::directory) continue;
      files.push_back(entry.path().lexically_relative(directory).generic_string());
    }
    std::sort(files.begin(), files.end());
    return files;
  });
}

void remove_unless(const fs::path& directory, const std::function<bool(const std::string&)>& keep) {
  with_io_errors([&] { return prune(directory, "", keep); });
}

void sync_directories(const fs::path& root) {
  std::vector<fs::path> folders;
  with_io_errors([&] {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
      if (entry.symlink_status().type() == fs::file_type::directory) {
        folders.push_back(entry.path());
      }
    }
  });
  for (const fs::path& folder : folders) sync_directory(folder);
  sync_directory(root);
}

uint64_t free_bytes(const fs::path& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) fail(path, "cannot examine the file system");
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

void rename_new(const fs::path& from, const fs::path& to) {
  if (rename_if_absent(from, to)) return;
  throw Error(Code::kInvalidArgument,
              to.string() + ": somebody else made it; the result lies in " + from.string());
}

void exchange_names(const fs::path& a, const fs::path& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno == ENOSYS || errno == EINVAL) {
    throw Error(Code::kUnsupported,
                b.string() +
                    ": this file system cannot replace a directory in one step; the "
                    "result lies in " +
                    a.string() + "; remove the old one and run again");
  }
  fail(b, "cannot exchange it with " + a.string());
}

void link_file(const fs::path& source, const fs::path& name) {
  if (::unlink(name.c_str()) != 0 && errno != ENOENT) fail(name, "cannot replace");
  if (::link(source.c_str(), name.c_str()) == 0) return;
  const int error = errno;
  throw Error(Code::kIo, name.string() + ": cannot link to " + source.string() + ": " +
                             std::strerror(error) + "; " + field("copy") + " copies instead");
}

void copy_bytes(const fs::path& source, const fs::path& name) {
  const Descriptor in(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (in.get() < 0 || ::fstat(in.get(), &status) != 0) fail(source, "cannot open");
  ::posix_fadvise(in.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  AtomicFile out(name);
  out.allocate(status.st_size);
  std::vector<std::byte> chunk(kCopyChunkBytes);
  int64_t copied = 0;
  while (true) {
    const ssize_t got = ::read(in.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(source, "cannot read");
    if (got == 0) break;
    out.write(std::span(chunk).first(static_cast<size_t>(got)));
    copied += got;
  }
  if (copied != status.st_size) {
    throw Error(Code::kIo, source.string() + ": changed while it was copied: expected " +
                               std::to_string(status.st_size) + " bytes, got " +
                               std::to_string(copied));
  }
  out.commit();
}

}  // namespace mxvideo::convert
