#include "base/file/reserved_name.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "base/file/temporary_name.h"
#include "base/system/system_error.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

bool is_named(int fd, const fs::path& name) {
  struct stat open {};
  struct stat named {};
  return ::fstat(fd, &open) == 0 && ::lstat(name.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

// `made`: by this process, just now; file systems without locks have nothing else to go by.
bool lock(int fd, bool made) {
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return false;
    if (!made) errno = EWOULDBLOCK;
    return made;
  }
  return true;
}

// Locks what `open` opens; `make` makes it and returns whether it did.
template <class Make, class Open>
Descriptor take(const fs::path& name, const Make& make, const Open& open) {
  constexpr int kAttempts = 10;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const bool made = make();
    if (!made && errno != EEXIST) return Descriptor();
    Descriptor fd(open());
    if (fd.get() < 0 && errno == ENOENT) continue;  // its owner finished since
    if (fd.get() < 0 || !lock(fd.get(), made)) return Descriptor();
    if (is_named(fd.get(), name)) return fd;
  }
  errno = EWOULDBLOCK;
  return Descriptor();
}

}  // namespace

fs::path reserved_name(const fs::path& path) { return path.string() + ".partial-mxvideo"; }

Descriptor take_file_name(const fs::path& name) noexcept {
  const auto make = [&] {
    const Descriptor fd(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    return fd.get() >= 0;
  };
  Descriptor fd = take(name, make, [&] {
    return ::open(name.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  });
  if (fd.get() >= 0 && ::ftruncate(fd.get(), 0) != 0) fd.reset();
  return fd;
}

Descriptor take_directory_name(const fs::path& name) noexcept {
  const auto make = [&] { return ::mkdir(name.c_str(), 0777) == 0; };
  Descriptor fd = take(name, make, [&] {
    return ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  });
  if (fd.get() >= 0) remove_files_in(name.c_str());
  return fd;
}

bool name_exists(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw system_error(path, "cannot examine", errno);
}

bool rename_if_absent(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  int error = errno;
  // A file system without that flag. Directories have no links, but rename() replaces none but
  // empty ones.
  if (error == ENOSYS || error == EINVAL) {
    if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0;
    if (errno == EEXIST || name_exists(to)) return false;
    if (::rename(from.c_str(), to.c_str()) == 0) return true;
    error = errno;
  }
  if (error == EEXIST || error == ENOTEMPTY || error == ENOTDIR) return false;
  throw system_error(to, "cannot rename " + from.string() + " to it", error);
}

fs::path rename_to_free_name(const fs::path& from, const fs::path& to) {
  fs::path name = to;
  for (int number = 2; !rename_if_absent(from, name); ++number) {
    name = to.parent_path() /
           (to.stem().string() + "-" + std::to_string(number) + to.extension().string());
  }
  return name;
}

}  // namespace mxvideo
