// What commands take from the process environment: a variable per flag, and the caches that hold
// models.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/snapshot.h"
#include "cli/flags/command_line.h"

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

// A directory as it is, or org/name[@revision] looked up in the local caches, of which `needs` must
// be there; of a file that only a model has (model_index.json), its directory. Throws what
// checkpoint::resolve_model_path() throws and, for other files, Code::kInvalidArgument with the
// flag that takes it.
std::filesystem::path find_model(const std::string& text, const std::string& revision = "",
                                 const checkpoint::ModelNeeds& needs = {});

// The same for commands that take a single file as well.
std::filesystem::path find_model_or_file(const std::string& text, const std::string& revision = "",
                                         const checkpoint::ModelNeeds& needs = {});

// What a flag for a part of a model names: a path as it is, there or not, unless it is the
// org/name[@revision] of a model that a local cache has.
std::filesystem::path find_part(const std::string& text);

// Where the rates of this machine are kept: mxvideo/rates.json in the user's cache directory,
// XDG_CACHE_HOME or ~/.cache; empty where neither is an absolute path.
std::filesystem::path rates_file();

// --allow-links, for commands that read models.
void add_allow_links_flag(CLI::App& app, const std::string& group);

// The first executable file of this name in the directories of PATH; empty when there is none.
std::filesystem::path find_program(const std::string& name);

}  // namespace mxvideo::cli
