#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "cli/validators.h"

namespace mxvideo::cli {
namespace {

// Plain output: a line for every tenth of a phase, and at least one in this time.
constexpr std::chrono::seconds kPlainInterval{30};

bool variable_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool color_wanted(bool is_terminal) {
  if (variable_set("NO_COLOR")) return false;
  if (variable_set("CLICOLOR_FORCE") && std::strcmp(std::getenv("CLICOLOR_FORCE"), "0") != 0) {
    return true;
  }
  const char* term = std::getenv("TERM");
  return is_terminal && term != nullptr && std::strcmp(term, "dumb") != 0;
}

ProgressStyle style_of(const ProgressFlags& flags, const ProgressTerminal& terminal) {
  if (flags.quiet || flags.style == "none") return ProgressStyle::kNone;
  if (flags.style == "bar") return ProgressStyle::kBar;
  if (flags.style == "plain") return ProgressStyle::kPlain;
  if (flags.style == "json") return ProgressStyle::kJson;
  return terminal.is_terminal ? ProgressStyle::kBar : ProgressStyle::kPlain;
}

}  // namespace

ProgressTerminal inspect_stderr() {
  ProgressTerminal terminal;
  terminal.is_terminal = ::isatty(STDERR_FILENO) == 1;
  terminal.color = color_wanted(terminal.is_terminal);
  struct winsize size {};
  if (terminal.is_terminal && ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
  }
  return terminal;
}

void add_progress_flags(CLI::App& app, ProgressFlags& flags) {
  constexpr const char* kGroup = "Run";
  app.add_option("--progress", flags.style, "How progress is shown: auto, bar, plain, json or none")
      ->transform(choice_of({"auto", "bar", "plain", "json", "none"}))
      ->capture_default_str()
      ->group(kGroup);
  app.add_flag("-q,--quiet", flags.quiet, "Print nothing but errors and the result")->group(kGroup);
}

Progress::Progress(const ProgressFlags& flags)
    : terminal_(inspect_stderr()), style_(style_of(flags, terminal_)), quiet_(flags.quiet) {
  if (quiet_ && flags.style != "auto" && flags.style != "none") {
    throw Error(Code::kInvalidArgument,
                "--quiet shows no progress, --progress " + flags.style + " does; leave one out");
  }
}

Progress::~Progress() { finish(); }

void Progress::finish() {
  if (!line_open_) return;
  std::cerr << "\n" << std::flush;
  line_open_ = false;
}

void Progress::line(const std::string& text) {
  if (quiet_) return;
  if (style_ == ProgressStyle::kJson) {
    std::cerr << nlohmann::json{{"notice", text}}.dump() << "\n" << std::flush;
    return;
  }
  if (line_open_) std::cerr << "\r\x1b[K";
  std::cerr << text << "\n" << std::flush;
  line_open_ = false;
}

void Progress::enter_phase(std::string_view name) {
  finish();
  name_ = name;
  const Clock::time_point now = Clock::now();
  phase_ = &phases_.try_emplace(name_, Phase{.start = now, .last_print = now}).first->second;
}

void Progress::update(std::string_view phase, int64_t done, int64_t total) {
  if (style_ == ProgressStyle::kNone) return;
  if (phase_ == nullptr || phase != name_) enter_phase(phase);
  const std::chrono::duration<double> elapsed = Clock::now() - phase_->start;
  if (style_ == ProgressStyle::kBar) draw_bar(done, total, elapsed.count());
  if (style_ == ProgressStyle::kPlain) print_plain(done, total, elapsed.count());
  if (style_ == ProgressStyle::kJson) print_json(done, total, elapsed.count());
}

// "12/40  00:31 elapsed, 01:12 left, 2.6 s each"
std::string Progress::status(int64_t done, int64_t total, double elapsed) const {
  std::string text = fmt::format("{}/{}  {}", done, total, format_duration(elapsed));
  if (done > 0 && total > 1) {
    const double each = elapsed / static_cast<double>(done);
    if (done < total) text += " +" + format_duration(each * static_cast<double>(total - done));
    text += fmt::format("  {:.2f} s each", each);
  }
  return text;
}

void Progress::draw_bar(int64_t done, int64_t total, double elapsed) {
  constexpr int kWidth = 24;
  const auto filled = static_cast<size_t>(total > 0 ? done * kWidth / total : 0);
  const std::string full(filled, '#');
  const std::string empty(kWidth - std::min<size_t>(filled, kWidth), '-');
  const char* on = terminal_.color ? "\x1b[36m" : "";
  const char* off = terminal_.color ? "\x1b[0m" : "";
  const std::string text = fmt::format("{:<20} ", name_);
  std::string rest = "  " + status(done, total, elapsed);
  const auto used = text.size() + kWidth + 2;
  const auto columns = static_cast<size_t>(terminal_.columns);
  if (used + rest.size() >= columns) rest.resize(columns > used + 1 ? columns - used - 1 : 0);
  std::cerr << "\r\x1b[K" << text << "[" << on << full << off << empty << "]" << rest << std::flush;
  line_open_ = true;
  if (done >= total) finish();
}

void Progress::print_plain(int64_t done, int64_t total, double elapsed) {
  const int64_t tenth = total > 0 ? done * 10 / total : 10;
  const bool due =
      tenth > phase_->last_tenth || Clock::now() - phase_->last_print >= kPlainInterval;
  if (!due) return;
  phase_->last_tenth = tenth;
  phase_->last_print = Clock::now();
  std::cerr << name_ << " " << status(done, total, elapsed) << "\n" << std::flush;
}

void Progress::print_json(int64_t done, int64_t total, double elapsed) {
  nlohmann::ordered_json entry = {
      {"phase", name_}, {"done", done}, {"total", total}, {"seconds", elapsed}};
  if (done > 0) {
    entry["eta_seconds"] = elapsed / static_cast<double>(done) * static_cast<double>(total - done);
  }
  std::cerr << entry.dump() << "\n" << std::flush;
}

}  // namespace mxvideo::cli
