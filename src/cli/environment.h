// What commands take from the process environment: a variable per flag, and the caches that hold
// models.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/command_line.h"

namespace mxvideo::cli {

// The variable of an option: MXVIDEO_ and the first of its long names in upper case, '_' for '-';
// MXVIDEO_NUM_FRAMES for --num-frames. Empty for help, versions and options without a long name.
std::string variable_name(const CLI::Option& option);

// Adds to `line` what the environment says of flags that were not given. A flag wins over every
// variable that contradicts it, its own and those of flags that exclude it. An empty variable is
// one that is not set. Variables of other commands' flags count for nothing. Returns lines to be
// shown. Throws Code::kInvalidArgument for an MXVIDEO_ variable that no command reads, naming the
// one that was probably meant.
std::vector<std::string> add_environment(CLI::App& app, CommandLine& line);

// A directory as it is, or org/name[@revision] looked up in the local caches. Throws what
// checkpoint::resolve_model_path() throws.
std::filesystem::path find_model(const std::string& text, const std::string& revision = "");

// The same for commands that take a single file as well.
std::filesystem::path find_model_or_file(const std::string& text, const std::string& revision = "");

// The first executable file of this name in the directories of PATH; empty when there is none.
std::filesystem::path find_program(const std::string& name);

}  // namespace mxvideo::cli
