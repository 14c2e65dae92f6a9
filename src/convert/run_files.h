// The files beside the transformers that a run of a whole model reads, each opened by the code that
// the run uses: the index of components, the tokenizer, the scheduler, the defaults of generation,
// configs and weights of text encoder and VAE (headers only). Thread-safe: no state.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "convert/layout.h"

namespace mxvideo::convert {

struct RunFile {
  std::string name = {};     // "tokenizer", "model_index.json"
  std::string summary = {};  // "256384 token ids"; empty where there is a problem
  std::string problem = {};  // empty: a run can use it
};

// Of a directory in Diffusers' layout; empty for any other.
std::vector<RunFile> check_run_files(const std::filesystem::path& directory);

// Says what keeps the rest of a model, which a conversion takes over as it is, from running.
void note_run_problems(const std::filesystem::path& directory, const ConvertHooks& hooks);

}  // namespace mxvideo::convert
