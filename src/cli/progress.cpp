#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text/format.h"
#include "cli/flags/validators.h"
#include "cli/spelling.h"

namespace mxvideo::cli {
namespace {

// Plain output: a line for every tenth of a phase, and at least one in this time.
constexpr std::chrono::seconds kPlainInterval{30};
// Within a unit: until the first estimate of a phase, and at least so long between two.
constexpr std::chrono::seconds kFirstEstimate{5};
constexpr std::chrono::milliseconds kBarInterval{200};
constexpr std::chrono::seconds kJsonInterval{1};

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

// " steps": what a phase counts.
std::string unit_of(std::string_view phase, int64_t count) {
  struct Unit {
    std::string_view phase, one;
  };
  constexpr std::array kUnits = {Unit{"denoise", "step"}, Unit{"decode", "frame"},
                                 Unit{"encode image", "frame"}, Unit{"encode prompt", "prompt"},
                                 Unit{"evaluate", "video"}};
  const auto unit = std::ranges::find_if(kUnits, [&](const Unit& each) {
    return phase == each.phase || phase.ends_with(": " + std::string(each.phase));
  });
  if (unit == kUnits.end()) return "";
  return " " + std::string(unit->one) + (count == 1 ? "" : "s");
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

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::string Progress::total_time() const {
  constexpr double kMinute = 60;
  const double total = seconds();
  return "total time " +
         (total < kMinute ? fmt::format("{:.1f} s", total) : format_duration(total));
}

void Progress::line(const std::string& message) {
  if (quiet_) return;
  const std::string text = spelled(message);
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

Progress::State Progress::state(int64_t done, int64_t total, double part) const {
  const std::chrono::duration<double> elapsed = Clock::now() - phase_->start;
  return {.done = done, .total = total, .part = part, .elapsed = elapsed.count()};
}

double Progress::State::left() const {
  return elapsed / units() * (static_cast<double>(total) - units());
}

void Progress::update(std::string_view phase, int64_t done, int64_t total) {
  if (style_ == ProgressStyle::kNone) return;
  if (phase_ == nullptr || phase != name_) enter_phase(phase);
  const State now = state(done, total, 0);
  if (style_ == ProgressStyle::kBar) draw_bar(now);
  if (style_ == ProgressStyle::kPlain) print_plain(now);
  if (style_ == ProgressStyle::kJson) print_json(now);
}

void Progress::within(std::string_view phase, int64_t done, int64_t total, double part) {
  if (style_ == ProgressStyle::kNone || part >= 1) return;
  if (phase_ == nullptr || phase != name_) enter_phase(phase);
  const bool first = done == 0 && !phase_->has_estimate;
  const Clock::duration interval = style_ == ProgressStyle::kBar    ? kBarInterval
                                   : style_ == ProgressStyle::kJson ? kJsonInterval
                                   : first                          ? kFirstEstimate
                                                                    : kPlainInterval;
  if (Clock::now() - phase_->last_print < interval) return;
  phase_->has_estimate = true;
  phase_->last_print = Clock::now();
  const State now = state(done, total, part);
  if (style_ == ProgressStyle::kBar) draw_bar(now);
  if (style_ == ProgressStyle::kJson) print_json(now);
  if (style_ == ProgressStyle::kPlain) {
    std::cerr << name_ << " " << status(now, true) << "\n" << std::flush;
  }
}

// "12/40 steps  00:31 +01:12  2.60 s each"; without the words where they do not fit.
std::string Progress::status(const State& state, bool with_words) const {
  std::string text = fmt::format("{}/{}", state.done, state.total);
  if (with_words) text += unit_of(name_, state.total);
  text += "  " + format_duration(state.elapsed);
  if (state.units() <= 0 || (state.total <= 1 && state.part <= 0)) return text;
  if (state.done < state.total) text += " +" + format_duration(state.left());
  if (state.total > 1) {
    text += fmt::format("  {:.2f} s{}", state.elapsed / state.units(), with_words ? " each" : "");
  }
  return text;
}

// What does not fit goes in this order: the bar, the words, the end of the phase's name.
void Progress::draw_bar(const State& state) {
  constexpr size_t kNameWidth = 20, kWidth = 24, kLeastWidth = 8;
  const auto room = static_cast<size_t>(std::max(terminal_.columns - 1, 1));
  std::string numbers = status(state, true);
  std::string name = fmt::format("{:<{}}", name_, kNameWidth);
  std::string bar;
  const size_t used = name.size() + 5 + numbers.size();  // " [", "]  "
  if (used + kLeastWidth <= room) {
    const size_t width = std::min(kWidth, room - used);
    const double share = state.total > 0 ? state.units() / static_cast<double>(state.total) : 0.0;
    const auto filled = static_cast<size_t>(share * static_cast<double>(width));
    const char* on = terminal_.color ? "\x1b[36m" : "";
    const char* off = terminal_.color ? "\x1b[0m" : "";
    bar = " [" + std::string(on) + std::string(filled, '#') + off +
          std::string(width - std::min(filled, width), '-') + "]  ";
  } else {
    if (name_.size() + 2 + numbers.size() > room) numbers = status(state, false);
    numbers.resize(std::min(numbers.size(), room));
    name = name_.substr(0, room > numbers.size() + 2 ? room - numbers.size() - 2 : 0);
    if (!name.empty()) bar = "  ";
  }
  std::cerr << "\r\x1b[K" << name << bar << numbers << std::flush;
  line_open_ = true;
  if (state.done >= state.total) finish();
}

void Progress::print_plain(const State& state) {
  const int64_t tenth = state.total > 0 ? state.done * 10 / state.total : 10;
  const bool due =
      tenth > phase_->last_tenth || Clock::now() - phase_->last_print >= kPlainInterval;
  if (!due) return;
  phase_->last_tenth = tenth;
  phase_->last_print = Clock::now();
  std::cerr << name_ << " " << status(state, true) << "\n" << std::flush;
}

void Progress::print_json(const State& state) const {
  nlohmann::ordered_json entry = {
      {"phase", name_}, {"done", state.done}, {"total", state.total}, {"seconds", state.elapsed}};
  if (state.part > 0) entry["part"] = state.part;
  if (state.units() > 0) entry["eta_seconds"] = state.left();
  std::cerr << entry.dump() << "\n" << std::flush;
}

}  // namespace mxvideo::cli
