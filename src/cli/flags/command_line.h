// What the user typed, before CLI11 sees it: the command wherever it stands, the flags of it in the
// order of the user, the environment behind them. Whatever is wrong is said of the first bad
// argument in that order, with the nearest right one. Not thread-safe.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

namespace mxvideo::cli {

// One flag with its values, or one word that is no flag's.
struct CommandItem {
  CLI::Option* option = nullptr;  // null: a positional word
  std::string spelling;           // as it was given: "--steps", or "MXVIDEO_…"
  std::vector<std::string> values;
  bool from_environment = false;
};

struct CommandLine {
  CLI::App* command = nullptr;  // the innermost one that was named; the application itself if none
  bool wants_help = false;      // --help, "help VERB", or a command that needs another word alone
  bool wants_version = false;
  bool wants_all_help = false;
  std::vector<CommandItem> items;
};

// Takes `words`, without the program's name, apart by the options that `app` and its commands have.
// Throws Code::kInvalidArgument for a command, flag or word that is not there (naming the nearest,
// or why a flag of other programs is not there), a flag without its value and one given twice.
CommandLine read_command_line(CLI::App& app, std::vector<std::string> words);

// Hands the items to CLI11, which converts and checks them. Throws Code::kInvalidArgument, and what
// the options' own callbacks throw, for the first item that is refused.
void parse_command_line(CLI::App& app, const CommandLine& line);

// Every command below `app`, parents first.
std::vector<CLI::App*> all_commands(CLI::App& app);

// "bench gemm" for that command of "mxvideo bench gemm".
std::string command_name(const CLI::App& command);

}  // namespace mxvideo::cli
