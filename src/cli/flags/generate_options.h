// Flags of `mxvideo generate`: SGLang's names, with the spellings of Wan2.2's generate.py, sd-cli
// and diffusers-cli as aliases. Every flag can also be set by the environment, as MXVIDEO_ and the
// flag's name in upper case.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "cli/progress.h"
#include "media/video_encoding.h"
#include "pipeline/request/request_fields.h"

namespace mxvideo::cli {

// The request's form, and what only the command line has.
struct GenerateOptions : pipeline::RequestForm {
  std::optional<double> cfg_scale;
  std::string output, output_directory, output_file_name, output_format;
  media::EncodingChoice encoding;
  std::string report_path, save_latents_path, save_quantized;
  bool resume = false;
  double checkpoint_seconds = 30;
  int threads = 0;  // 0: all
  ProgressFlags progress;
  bool json = false;
  bool dry_run = false;
  bool overwrite = false;         // what exists already
  bool allow_overcommit = false;  // run although memory or disk may not suffice
};

// Adds the sub-command and its flags; values arrive in `options`, which must outlive the parse.
CLI::App* add_generate_options(CLI::App& app, GenerateOptions& options);

// Adds "plan": those flags of generate that change what a run needs.
CLI::App* add_plan_options(CLI::App& app, GenerateOptions& options);

// Where the video goes: --output, or --output-path and --output-file-name, or a name made of the
// prompt, the seed and the time in the current directory. "-" is standard output.
std::string output_path(const GenerateOptions& options, const pipeline::ResolvedRequest& request);

}  // namespace mxvideo::cli
