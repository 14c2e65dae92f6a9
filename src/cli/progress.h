// Progress on stderr: one redrawn line on a terminal, plain lines otherwise, JSON lines on request;
// and the notices between.
// Not thread-safe.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace mxvideo::cli {

enum class ProgressStyle : uint8_t { kBar, kPlain, kJson, kNone };

// What --progress and --quiet say.
struct ProgressFlags {
  std::string style = "auto";  // a bar on a terminal and plain lines elsewhere
  bool quiet = false;          // no progress, notices or summaries: only errors and the result
};

// Values arrive in `flags`, which must outlive the parse.
void add_progress_flags(CLI::App& app, ProgressFlags& flags);

struct ProgressTerminal {
  bool is_terminal = false;
  bool color = false;
  int columns = 80;
};

// What stderr is: a terminal or not, colour by NO_COLOR, CLICOLOR_FORCE and TERM.
ProgressTerminal inspect_stderr();

class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  // Throws Code::kInvalidArgument for a style that is shown and --quiet.
  explicit Progress(const ProgressFlags& flags);
  // Ends a line that is being redrawn.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of `total` units of `phase`; a new phase begins with 0.
  void update(std::string_view phase, int64_t done, int64_t total);
  // A line of its own, above the bar.
  void line(const std::string& text);
  // Since this was made.
  double seconds() const;
  // "total time 12.3 s", "total time 01:02:03".
  std::string total_time() const;
  // Ends the bar's line, so that other output starts on a fresh one.
  void finish();

 private:
  // What is known of a phase; kept when another phase comes in between and it goes on afterwards.
  struct Phase {
    Clock::time_point start;
    Clock::time_point last_print;
    int64_t last_tenth = -1;
  };
  void enter_phase(std::string_view name);
  std::string status(int64_t done, int64_t total, double elapsed, bool with_words) const;
  void draw_bar(int64_t done, int64_t total, double elapsed);
  void print_plain(int64_t done, int64_t total, double elapsed);
  void print_json(int64_t done, int64_t total, double elapsed);

  ProgressTerminal terminal_;
  ProgressStyle style_;
  bool quiet_;
  std::string name_;        // of the current phase
  Phase* phase_ = nullptr;  // likewise
  std::map<std::string, Phase, std::less<>> phases_;
  bool line_open_ = false;
  Clock::time_point start_ = Clock::now();
};

}  // namespace mxvideo::cli
