// A library for LD_PRELOAD that makes the calls which change files below one directory fail, write
// less than asked, or end the process. Environment:
//   FAULT_DIRECTORY   absolute; calls on anything below it are counted, from 1
//   FAULT_MODE        count        change nothing
//                     error        call number FAULT_AT fails with errno FAULT_ERRNO
//                     short        call number FAULT_AT, if it writes, writes half of its bytes
//                     kill-before  SIGKILL instead of call number FAULT_AT
//                     kill-after   SIGKILL after call number FAULT_AT
//                     full         no more bytes, files, links and folders after FAULT_AT bytes
//   FAULT_CALL_FILE   the name of the call that an error was returned for is written there
//   FAULT_COUNT_FILE  the number of calls is written there at the normal end of the process
// Counted: open with O_CREAT, write, pwrite, ftruncate, fallocate, posix_fallocate, fsync,
// fdatasync, close, rename, renameat2, link, symlink, mkdir, unlink, rmdir, remove. Thread-safe.
#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum class Mode { kOff, kCount, kError, kShort, kKillBefore, kKillAfter, kFull };

struct Settings {
  Mode mode = Mode::kOff;
  const char* directory = "";
  size_t directory_size = 0;
  int64_t at = 0;
  int error = 0;
};

Settings settings;
std::atomic<int64_t> calls{0};
std::atomic<int64_t> bytes_written{0};

[[gnu::constructor]] void read_settings() {
  constexpr struct {
    const char* name;
    Mode mode;
  } kModes[] = {{"count", Mode::kCount},          {"error", Mode::kError},
                {"short", Mode::kShort},          {"kill-before", Mode::kKillBefore},
                {"kill-after", Mode::kKillAfter}, {"full", Mode::kFull}};
  const char* directory = std::getenv("FAULT_DIRECTORY");
  const char* mode = std::getenv("FAULT_MODE");
  if (directory == nullptr || mode == nullptr) return;
  const char* at = std::getenv("FAULT_AT");
  const char* error = std::getenv("FAULT_ERRNO");
  settings.directory = directory;
  settings.directory_size = std::strlen(directory);
  settings.at = at == nullptr ? 0 : std::atoll(at);
  settings.error = error == nullptr ? EIO : std::atoi(error);
  for (const auto& candidate : kModes) {
    if (std::strcmp(candidate.name, mode) == 0) settings.mode = candidate.mode;
  }
}

// Into the file that an environment variable names.
void write_note(const char* variable, const char* text) {
  const char* path = std::getenv(variable);
  if (path == nullptr) return;
  const long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return;
  syscall(SYS_write, fd, text, std::strlen(text));
  syscall(SYS_close, fd);
}

[[gnu::destructor]] void write_count() {
  char text[32];
  std::snprintf(text, sizeof text, "%lld", static_cast<long long>(calls.load()));
  write_note("FAULT_COUNT_FILE", text);
}

bool is_below(const char* path) {
  return std::strncmp(path, settings.directory, settings.directory_size) == 0 &&
         path[settings.directory_size] == '/';
}

bool concerns_path(const char* path) {
  if (settings.mode == Mode::kOff) return false;
  if (path[0] == '/') return is_below(path);
  char absolute[2 * PATH_MAX];
  if (getcwd(absolute, PATH_MAX) == nullptr) return false;
  std::strcat(absolute, "/");
  std::strncat(absolute, path, PATH_MAX - 1);
  return is_below(absolute);
}

bool concerns_fd(int fd) {
  if (settings.mode == Mode::kOff) return false;
  char link[64];
  char path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const long size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (size < 0) return false;
  path[size] = '\0';
  return is_below(path);
}

[[noreturn]] void end_process() {
  syscall(SYS_kill, getpid(), SIGKILL);
  while (true) pause();
}

bool is_full() { return settings.mode == Mode::kFull && bytes_written >= settings.at; }

// Counts a call that concerns the directory; true when it is the one that FAULT_AT means.
bool is_chosen() { return ++calls == settings.at; }

// `grows`: needs space on the disk.
template <class Call>
long guarded(const char* name, bool concerned, bool grows, const Call& call) {
  if (!concerned) return call();
  const int entry_errno = errno;
  const bool chosen = is_chosen();
  if (chosen && settings.mode == Mode::kKillBefore) end_process();
  if ((chosen && settings.mode == Mode::kError) || (grows && is_full())) {
    write_note("FAULT_CALL_FILE", name + std::strlen("fault_"));
    errno = settings.mode == Mode::kFull ? ENOSPC : settings.error;
    return -1;
  }
  errno = entry_errno;
  const long result = call();
  if (chosen && settings.mode == Mode::kKillAfter) end_process();
  return result;
}

template <class Call>
long guarded_write(const char* name, int fd, size_t size, const Call& call) {
  if (!concerns_fd(fd)) return call(size);
  if (settings.mode == Mode::kShort) return call(is_chosen() && size > 1 ? size / 2 : size);
  if (settings.mode == Mode::kFull && !is_full()) {
    const int64_t room = settings.at - bytes_written;
    if (static_cast<int64_t>(size) > room) size = static_cast<size_t>(room);
  }
  const long written = guarded(name, true, true, [&] { return call(size); });
  if (written > 0) bytes_written += written;
  return written;
}

long guarded_allocate(const char* name, int fd, int mode, int64_t offset, int64_t size) {
  const bool concerned = concerns_fd(fd);
  if (concerned && settings.mode == Mode::kFull && size > settings.at - bytes_written) {
    errno = ENOSPC;
    return -1;
  }
  return guarded(name, concerned, true,
                 [&] { return syscall(SYS_fallocate, fd, mode, offset, size); });
}

long guarded_open(const char* name, const char* path, int flags, mode_t mode) {
  const bool concerned = (flags & O_CREAT) != 0 && concerns_path(path);
  return guarded(name, concerned, true,
                 [&] { return syscall(SYS_openat, AT_FDCWD, path, flags, mode); });
}

mode_t mode_argument(int flags, va_list arguments) {
  return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

// Definitions under the C library's names. Other C++ names keep its declarations out of the way.
#define FAULT_NAMED(name) __asm__(name) __attribute__((visibility("default"), used))

extern "C" {

int fault_open(const char* path, int flags, ...) FAULT_NAMED("open");
int fault_open64(const char* path, int flags, ...) FAULT_NAMED("open64");
int fault_open_2(const char* path, int flags) FAULT_NAMED("__open_2");
int fault_open64_2(const char* path, int flags) FAULT_NAMED("__open64_2");
ssize_t fault_write(int fd, const void* bytes, size_t size) FAULT_NAMED("write");
ssize_t fault_pwrite(int fd, const void* bytes, size_t size, off_t at) FAULT_NAMED("pwrite");
ssize_t fault_pwrite64(int fd, const void* bytes, size_t size, off_t at) FAULT_NAMED("pwrite64");
int fault_ftruncate(int fd, off_t size) FAULT_NAMED("ftruncate");
int fault_ftruncate64(int fd, off_t size) FAULT_NAMED("ftruncate64");
int fault_fallocate(int fd, int mode, off_t offset, off_t size) FAULT_NAMED("fallocate");
int fault_fallocate64(int fd, int mode, off_t offset, off_t size) FAULT_NAMED("fallocate64");
int fault_posix_fallocate(int fd, off_t offset, off_t size) FAULT_NAMED("posix_fallocate");
int fault_posix_fallocate64(int fd, off_t offset, off_t size) FAULT_NAMED("posix_fallocate64");
int fault_fsync(int fd) FAULT_NAMED("fsync");
int fault_fdatasync(int fd) FAULT_NAMED("fdatasync");
int fault_close(int fd) FAULT_NAMED("close");
int fault_rename(const char* from, const char* to) FAULT_NAMED("rename");
int fault_renameat2(int a, const char* from, int b, const char* to, unsigned int flags)
    FAULT_NAMED("renameat2");
int fault_link(const char* from, const char* to) FAULT_NAMED("link");
int fault_symlink(const char* from, const char* to) FAULT_NAMED("symlink");
int fault_mkdir(const char* path, mode_t mode) FAULT_NAMED("mkdir");
int fault_unlink(const char* path) FAULT_NAMED("unlink");
int fault_rmdir(const char* path) FAULT_NAMED("rmdir");
int fault_remove(const char* path) FAULT_NAMED("remove");

int fault_open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return static_cast<int>(guarded_open(__func__, path, flags, mode));
}

int fault_open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return static_cast<int>(guarded_open(__func__, path, flags, mode));
}

int fault_open_2(const char* path, int flags) {
  return static_cast<int>(guarded_open(__func__, path, flags, 0));
}

int fault_open64_2(const char* path, int flags) {
  return static_cast<int>(guarded_open(__func__, path, flags, 0));
}

ssize_t fault_write(int fd, const void* bytes, size_t size) {
  return guarded_write(__func__, fd, size,
                       [&](size_t part) { return syscall(SYS_write, fd, bytes, part); });
}

ssize_t fault_pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return guarded_write(__func__, fd, size,
                       [&](size_t part) { return syscall(SYS_pwrite64, fd, bytes, part, at); });
}

ssize_t fault_pwrite64(int fd, const void* bytes, size_t size, off_t at) {
  return fault_pwrite(fd, bytes, size, at);
}

int fault_ftruncate(int fd, off_t size) {
  return static_cast<int>(
      guarded(__func__, concerns_fd(fd), false, [&] { return syscall(SYS_ftruncate, fd, size); }));
}

int fault_ftruncate64(int fd, off_t size) { return fault_ftruncate(fd, size); }

int fault_fallocate(int fd, int mode, off_t offset, off_t size) {
  return static_cast<int>(guarded_allocate(__func__, fd, mode, offset, size));
}

int fault_fallocate64(int fd, int mode, off_t offset, off_t size) {
  return static_cast<int>(guarded_allocate(__func__, fd, mode, offset, size));
}

int fault_posix_fallocate(int fd, off_t offset, off_t size) {
  return guarded_allocate(__func__, fd, 0, offset, size) == 0 ? 0 : errno;
}

int fault_posix_fallocate64(int fd, off_t offset, off_t size) {
  return fault_posix_fallocate(fd, offset, size);
}

int fault_fsync(int fd) {
  return static_cast<int>(
      guarded(__func__, concerns_fd(fd), false, [&] { return syscall(SYS_fsync, fd); }));
}

int fault_fdatasync(int fd) {
  return static_cast<int>(
      guarded(__func__, concerns_fd(fd), false, [&] { return syscall(SYS_fdatasync, fd); }));
}

// A close that fails has closed the descriptor all the same, as on Linux.
int fault_close(int fd) {
  const bool concerned = concerns_fd(fd);
  bool closed = false;
  const long result = guarded(__func__, concerned, false, [&] {
    closed = true;
    return syscall(SYS_close, fd);
  });
  if (!closed) {
    const int error = errno;
    syscall(SYS_close, fd);
    errno = error;
  }
  return static_cast<int>(result);
}

int fault_rename(const char* from, const char* to) {
  return static_cast<int>(guarded(__func__, concerns_path(to), false, [&] {
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  }));
}

int fault_renameat2(int a, const char* from, int b, const char* to, unsigned int flags) {
  return static_cast<int>(guarded(__func__, concerns_path(to), false,
                                  [&] { return syscall(SYS_renameat2, a, from, b, to, flags); }));
}

int fault_link(const char* from, const char* to) {
  return static_cast<int>(guarded(__func__, concerns_path(to), true, [&] {
    return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
  }));
}

int fault_symlink(const char* from, const char* to) {
  return static_cast<int>(guarded(__func__, concerns_path(to), true,
                                  [&] { return syscall(SYS_symlinkat, from, AT_FDCWD, to); }));
}

int fault_mkdir(const char* path, mode_t mode) {
  return static_cast<int>(guarded(__func__, concerns_path(path), true,
                                  [&] { return syscall(SYS_mkdirat, AT_FDCWD, path, mode); }));
}

int fault_unlink(const char* path) {
  return static_cast<int>(guarded(__func__, concerns_path(path), false,
                                  [&] { return syscall(SYS_unlinkat, AT_FDCWD, path, 0); }));
}

int fault_rmdir(const char* path) {
  return static_cast<int>(guarded(__func__, concerns_path(path), false, [&] {
    return syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
  }));
}

int fault_remove(const char* path) {
  return static_cast<int>(guarded(__func__, concerns_path(path), false, [&] {
    const long result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    return result != 0 && (errno == EISDIR || errno == EPERM)
               ? syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR)
               : result;
  }));
}

}  // extern "C"
