// The mxvideo command. Results go to stdout, everything else to stderr; exit statuses are those of
// cli/exit_code.h.
#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <new>
#include <system_error>
#include <vector>

#include "base/system/system_error.h"
#include "base/text/quote.h"
#include "base/version.h"
#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/flags/command_line.h"
#include "cli/flags/environment.h"
#include "cli/flags/help_text.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/spelling.h"
#include "cli/threads.h"

namespace {

using namespace mxvideo;
using namespace mxvideo::cli;

struct Entry {
  CLI::App* parser;
  Command run;
  bool computes;  // in threads that wait for each other
};

// One line whatever the message quotes: names may hold line breaks and escape sequences.
int fail(Code code, std::string_view message) {
  constexpr size_t kMaxBytes = 16384;
  std::cerr << "mxvideo: " << code_name(code) << ": " << spelled_line(message, kMaxBytes) << "\n";
  return exit_code(code);
}

// A descriptor below 3 that the caller closed would be handed to the first file that is opened, and
// what is meant for the terminal would end up in it. The stand-in refuses reads or writes.
void hold_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// Runs `command` and turns what it throws into a message and an exit status.
int run_guarded(const std::function<int()>& command) {
  try {
    return command();
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) {
      std::cerr << "mxvideo: " << spelled(error.what()) << "\n";
      return received_signal() != 0 ? 128 + received_signal() : kExitInterrupted;
    }
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(Code::kOutOfMemory, "an allocation failed");
  } catch (const std::system_error& error) {  // of the file system, or of making a thread
    return fail(system_code(error.code().value()), error.what());
  } catch (const std::exception& error) {
    return fail(Code::kInternal, error.what());
  }
}

std::string help_of(const CLI::App& command) {
  if (command.get_parent() == nullptr) return command.help();
  const std::string parent = command_name(*command.get_parent());
  return command.help(parent.empty() ? "mxvideo" : "mxvideo " + parent);
}

// As the command will show its own.
void show(const std::vector<std::string>& notices, const CommandLine& line) {
  ProgressFlags flags;
  for (const CommandItem& item : line.items) {
    const std::vector<std::string>& names = item.option->get_lnames();
    if (names.empty()) continue;
    if (names.front() == "quiet") flags.quiet = item.option->as<bool>();
    if (names.front() == "progress") flags.style = item.option->as<std::string>();
  }
  if (flags.quiet) return;
  Progress progress(flags);
  for (const std::string& notice : notices) {
    progress.line("note: " + printable(notice));
  }
}

int run(int argc, char** argv, const CancellationToken& cancellation) {
  CLI::App app("Wan2.2 text- and image-to-video with MXFP8 weights and activations", "mxvideo");
  app.formatter(std::make_shared<HelpText>());
  app.set_version_flag("--version", std::string("mxvideo ") + version());
  app.set_help_all_flag("--help-all", "Print help for all commands and exit");
  app.footer(
      "Exit status: 0 done, 1 internal error, 2 usage, 3 model, 4 hardware, 5 memory, "
      "6 numerics, 7 input/output, 8 mismatch, 129 hang-up, 130 interrupted, 143 terminated");

  std::vector<Entry> entries;
  const auto add = [&](Command command, bool computes) {
    entries.push_back({app.get_subcommands({}).back(), std::move(command), computes});
  };
  add(add_generate(app, cancellation), true);
  add(add_decode(app, cancellation), true);
  add(add_evaluate(app, cancellation), true);
  add(add_quantize(app, cancellation), true);
  add(add_repack(app, cancellation), true);
  add(add_compare(app, cancellation), true);
  add(add_plan(app), false);
  add(add_inspect(app), false);
  add(add_verify(app), true);
  add(add_bench(app, cancellation), true);
  add(add_doctor(app), false);
  add(add_version(app), false);
  app.add_subcommand("help", "Print this, or the help of the command that follows");

  CommandLine line = read_command_line(app, {argv + 1, argv + argc});
  if (line.wants_help || line.wants_all_help) {
    std::cout << (line.wants_help ? help_of(*line.command) : app.help("", CLI::AppFormatMode::All));
    return kExitOk;
  }
  if (line.wants_version) {
    std::cout << "mxvideo " << version() << "\n";
    return kExitOk;
  }
  const std::vector<std::string> notices = add_environment(app, line);
  parse_command_line(app, line);
  for (const Entry& entry : entries) {
    if (!entry.parser->parsed()) continue;
    if (entry.computes) restart_with_short_spins(argv);
    use_available_processors();
    show(notices, line);
    entry.run();
  }
  return kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_descriptors();
  static CancellationToken cancellation;
  install_interrupt_handlers(cancellation);
  const int status = run_guarded([&] { return run(argc, argv, cancellation); });
  if (status == kExitOk && !std::cout.flush()) {
    return fail(Code::kIo, "standard output: cannot write");
  }
  return status;
}
