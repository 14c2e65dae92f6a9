// Runs a program as a user would: arguments, environment, working directory, signals, terminal; and
// captures its standard output, standard error and exit status. One Process per thread.
//
// Every wait has a deadline, after which the child is killed and std::runtime_error is thrown.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::test {

struct ProcessOptions {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::filesystem::path directory = ".";
  // On top of the caller's environment, from which MXVIDEO_*, cache and colour variables are gone.
  std::map<std::string, std::string> environment = {};
  std::string input = {};                  // standard input; at most 64 KiB
  std::filesystem::path output_file = {};  // standard output goes there instead of being captured
  bool close_output = false;               // no standard output at all
  bool terminal = false;                   // standard error is a terminal
  unsigned short columns = 80;             // of it
  // Bytes per written file, 0: none. At least 1,024: LLVM's OpenMP writes as many to shared memory.
  int64_t file_size_limit = 0;
  int64_t address_space_limit = 0;  // bytes, 0: none
};

struct ProcessResult {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;
  std::string out;
  std::string err;
};

class Process {
 public:
  explicit Process(const ProcessOptions& options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send_signal(int signal) const;
  // Closes this end of the child's standard output: its next write is a broken pipe.
  void close_output();
  // From now on the child's standard output is left in the pipe, which blocks the child when full.
  void stop_reading_output() { read_output_ = false; }
  // Until standard error holds `text`.
  void wait_for_error_text(std::string_view text);
  // Until the child has ended and everything is read.
  ProcessResult finish();

 private:
  void read_some();
  void read_until(const std::function<bool()>& done);

  pid_t child_ = -1;
  int out_ = -1;
  int err_ = -1;
  bool read_output_ = true;
  ProcessResult result_;
};

// Starts, waits, returns.
ProcessResult run_process(const ProcessOptions& options);

}  // namespace mxvideo::test
