#include "evaluation/page/child_process.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/system/system_error.h"

namespace mxvideo::evaluation {
namespace {

[[noreturn]] void fail(Code code, const std::filesystem::path& program, int error) {
  throw Error(code, program.string() + ": cannot run it: " + std::strerror(error));
}

// A file in memory: the child reads or writes it at its own pace, so that no pipe fills up while
// this process waits for the other end.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(::memfd_create(name, MFD_CLOEXEC)) {
    if (fd_ < 0) throw system_error(name, "cannot make a file in memory", errno);
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int fd() const { return fd_; }
  void fill(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) throw system_error("a file in memory", "cannot write", errno);
      text.remove_prefix(static_cast<size_t>(written));
    }
    ::lseek(fd_, 0, SEEK_SET);
  }
  std::string content() const {
    std::string text;
    std::array<char, 65536> piece{};
    ::lseek(fd_, 0, SEEK_SET);
    for (;;) {
      const ssize_t count = ::read(fd_, piece.data(), piece.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw system_error("a file in memory", "cannot read", errno);
      if (count == 0) return text;
      text.append(piece.data(), static_cast<size_t>(count));
    }
  }

 private:
  int fd_;
};

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void put(int from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from, to); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw system_error("a child process", "cannot wait for it", errno);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ChildResult run_child(const std::filesystem::path& program,
                      const std::vector<std::string>& arguments, std::string_view input) {
  MemoryFile in("input"), out("output"), errors("errors");
  in.fill(input);
  FileActions actions;
  actions.put(in.fd(), STDIN_FILENO);
  actions.put(out.fd(), STDOUT_FILENO);
  actions.put(errors.fd(), STDERR_FILENO);
  std::string name = program.string();
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string locale = "LC_ALL=C.UTF-8";
  std::array<char*, 2> environment = {locale.data(), nullptr};
  pid_t child = -1;
  const int error =
      ::posix_spawn(&child, name.c_str(), actions.get(), nullptr, argv.data(), environment.data());
  if (error != 0) fail(Code::kUnsupported, program, error);
  const int status = wait_for(child);
  return {.status = status, .output = out.content(), .errors = errors.content()};
}

}  // namespace mxvideo::evaluation
