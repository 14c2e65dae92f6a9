// What sub-commands take from the process environment: a variable per flag, and the caches that
// hold models.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

namespace mxvideo::cli {

// MXVIDEO_NUM_FRAMES for --num-frames, and so on; a flag wins over the environment. Call it when
// all flags are added.
void name_environment(CLI::App& app);

// A directory as it is, or org/name[@revision] looked up in the local caches. Throws what
// checkpoint::resolve_model_path() throws.
std::filesystem::path find_model(const std::string& text, const std::string& revision = "");

// The same for commands that take a single file as well.
std::filesystem::path find_model_or_file(const std::string& text, const std::string& revision = "");

// The first executable file of this name in the directories of PATH; empty when there is none.
std::filesystem::path find_program(const std::string& name);

}  // namespace mxvideo::cli
