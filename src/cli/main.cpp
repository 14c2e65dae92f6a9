// The mxvideo command. Results go to stdout, everything else to stderr; exit statuses are those of
// cli/exit_code.h.
#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <new>
#include <system_error>
#include <vector>

#include "base/system_error.h"
#include "base/version.h"
#include "checkpoint/quote.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
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
  std::cerr << "mxvideo: " << code_name(code) << ": " << checkpoint::printable(message, kMaxBytes)
            << "\n";
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
      std::cerr << "mxvideo: " << error.what() << "\n";
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

int run(int argc, char** argv, const CancellationToken& cancellation) {
  CLI::App app("Wan2.2 text- and image-to-video with MXFP8 weights and activations", "mxvideo");
  app.set_version_flag("--version", std::string("mxvideo ") + version());
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "Print help for all sub-commands and exit");
  app.footer(
      "Exit status: 0 done, 1 internal error, 2 usage, 3 model, 4 hardware, 5 memory, "
      "6 numerics, 7 input/output, 8 mismatch, 130 interrupted, 143 terminated");

  std::vector<Entry> entries;
  const auto add = [&](Command command, bool computes) {
    entries.push_back({app.get_subcommands({}).back(), std::move(command), computes});
  };
  add(add_generate(app, cancellation), true);
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

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version requests are "errors" of status 0; CLI11 prints them to stdout.
    if (error.get_exit_code() == 0) return app.exit(error);
    const auto parsed = app.get_subcommands();
    const auto unknown = app.remaining();
    const std::string what = parsed.empty() && !unknown.empty()
                                 ? "there is no command or flag '" + unknown.front() + "'"
                                 : error.what();
    throw Error(Code::kInvalidArgument,
                what + "; see mxvideo " + (parsed.empty() ? "" : parsed.front()->get_name() + " ") +
                    "--help");
  }
  for (const Entry& entry : entries) {
    if (!entry.parser->parsed()) continue;
    if (entry.computes) restart_with_short_spins(argv);
    use_available_processors();
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
