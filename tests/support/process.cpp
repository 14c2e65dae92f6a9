#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>

extern char** environ;

namespace mxvideo::test {
namespace {

constexpr std::chrono::seconds kDeadline{120};

bool is_cleared(std::string_view variable) {
  for (const std::string_view prefix : {"MXVIDEO_", "HF_", "HUGGINGFACE_", "XDG_CACHE_HOME=",
                                        "MODELSCOPE_", "NO_COLOR=", "CLICOLOR_FORCE=", "TERM="}) {
    if (variable.starts_with(prefix)) return true;
  }
  return false;
}

std::vector<std::string> child_environment(const ProcessOptions& options) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    if (!is_cleared(text) && !options.environment.contains(name)) result.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

struct Channel {
  int parent = -1;
  int child = -1;
};

Channel open_pipe(bool parent_reads) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
  return parent_reads ? Channel{ends[0], ends[1]} : Channel{ends[1], ends[0]};
}

Channel open_terminal(unsigned short columns) {
  Channel channel;
  struct winsize size {};
  size.ws_row = 24;
  size.ws_col = columns;
  if (::openpty(&channel.parent, &channel.child, nullptr, nullptr, &size) != 0) fail("openpty");
  ::fcntl(channel.parent, F_SETFD, FD_CLOEXEC);
  return channel;
}

void limit(int resource, int64_t bytes) {
  const struct rlimit value { static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes) };
  if (bytes > 0) ::setrlimit(static_cast<__rlimit_resource>(resource), &value);
}

// In the child: only async-signal-safe calls, and never a return.
[[noreturn]] void execute(const ProcessOptions& options, const std::array<int, 3>& descriptors,
                          char** arguments, char** environment) {
  for (int target = 0; target < 3; ++target) {
    const int source = descriptors[static_cast<size_t>(target)];
    if (source >= 0) ::dup2(source, target);
  }
  if (options.close_output) ::close(STDOUT_FILENO);
  limit(RLIMIT_FSIZE, options.file_size_limit);
  limit(RLIMIT_AS, options.address_space_limit);
  if (::chdir(options.directory.c_str()) == 0) {
    ::execve(options.program.c_str(), arguments, environment);
  }
  ::_exit(126);
}

}  // namespace

Process::Process(const ProcessOptions& options) {
  std::vector<std::string> arguments = options.arguments;
  arguments.insert(arguments.begin(), options.program.string());
  std::vector<std::string> environment = child_environment(options);
  std::vector<char*> argv = pointers(arguments);
  std::vector<char*> envp = pointers(environment);
  const Channel in = open_pipe(false);
  const Channel out = open_pipe(true);
  const Channel err = options.terminal ? open_terminal(options.columns) : open_pipe(true);
  int output = out.child;
  if (!options.output_file.empty()) {
    output = ::open(options.output_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (output < 0) fail("open");
  }
  child_ = ::fork();
  if (child_ < 0) fail("fork");
  if (child_ == 0) execute(options, {in.child, output, err.child}, argv.data(), envp.data());
  if (output != out.child) ::close(output);
  for (const int fd : {in.child, out.child, err.child}) ::close(fd);
  out_ = out.parent;
  err_ = err.parent;
  // Fits the pipe. A child that does not read it may be gone already.
  std::signal(SIGPIPE, SIG_IGN);
  [[maybe_unused]] const ssize_t written =
      ::write(in.parent, options.input.data(), options.input.size());
  ::close(in.parent);
}

Process::~Process() {
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  for (const int fd : {out_, err_}) {
    if (fd >= 0) ::close(fd);
  }
}

void Process::send_signal(int signal) const { ::kill(child_, signal); }

void Process::close_output() {
  ::close(out_);
  out_ = -1;
}

void Process::read_some() {
  std::array<pollfd, 2> polls = {pollfd{read_output_ ? out_ : -1, POLLIN, 0},
                                 pollfd{err_, POLLIN, 0}};
  if (::poll(polls.data(), polls.size(), 100) <= 0) return;
  std::array<char, 65536> chunk;
  const auto drain = [&](const pollfd& ready, int& fd, std::string& text) {
    if (fd < 0 || ready.revents == 0) return;
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got > 0) {
      text.append(chunk.data(), static_cast<size_t>(got));
    } else {  // end of file; a terminal says EIO
      ::close(fd);
      fd = -1;
    }
  };
  drain(polls[0], out_, result_.out);
  drain(polls[1], err_, result_.err);
}

void Process::read_until(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + kDeadline;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) {
      throw std::runtime_error("the child did not get on; its standard error: " + result_.err);
    }
    if (out_ < 0 && err_ < 0) {
      throw std::runtime_error("the child ended early; its standard error: " + result_.err);
    }
    read_some();
  }
}

void Process::wait_for_error_text(std::string_view text) {
  read_until([&] { return result_.err.find(text) != std::string::npos; });
}

ProcessResult Process::finish() {
  if (!read_output_) read_until([&] { return err_ < 0; });
  read_output_ = true;
  if (out_ >= 0 || err_ >= 0) read_until([&] { return out_ < 0 && err_ < 0; });
  int status = 0;
  ::waitpid(child_, &status, 0);
  child_ = -1;
  if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
  return std::move(result_);
}

ProcessResult run_process(const ProcessOptions& options) { return Process(options).finish(); }

}  // namespace mxvideo::test
