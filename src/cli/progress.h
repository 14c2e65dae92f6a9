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
  // The same where `part`, 0 to 1, of the unit after `done` is finished: often called, seldom
  // shown.
  void within(std::string_view phase, int64_t done, int64_t total, double part);
  // A line of its own, above the bar.
  void line(const std::string& message);
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
    bool has_estimate = false;  // within the first unit
  };
  // What is finished of a phase.
  struct State {
    int64_t done = 0, total = 0;
    double part = 0;     // of the next unit
    double elapsed = 0;  // seconds

    double units() const { return static_cast<double>(done) + part; }
    double left() const;  // seconds; units() > 0
  };
  void enter_phase(std::string_view name);
  State state(int64_t done, int64_t total, double part) const;
  std::string status(const State& state, bool with_words) const;
  void draw_bar(const State& state);
  void print_plain(const State& state);
  void print_json(const State& state) const;

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
