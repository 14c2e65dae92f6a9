// Groups of flags that every command which generates takes from here: generate, plan, evaluate and
// compare.
// What a flag says arrives in GenerateOptions, which must outlive the parse; generate_request.h
// turns that into what the pipeline takes. Not thread-safe.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/flags/generate_options.h"
#include "cli/flags/validators.h"

namespace mxvideo::cli {

// Headings of --help.
inline constexpr const char* kOutputGroup = "Output";
inline constexpr const char* kRunGroup = "Run";

void add_model_flags(CLI::App& app, GenerateOptions& o);         // --model-path and its parts
void add_quantization_flags(CLI::App& app, GenerateOptions& o);  // scheme, scale rule, exceptions
void add_ignored_layers_flag(CLI::App& app, GenerateOptions& o);
void add_prompt_flag(CLI::App& app, GenerateOptions& o);
void add_negative_prompt_flag(CLI::App& app, GenerateOptions& o);
void add_image_flags(CLI::App& app, GenerateOptions& o);
void add_frame_flags(CLI::App& app, GenerateOptions& o);     // size, number and rate of frames
void add_sampling_flags(CLI::App& app, GenerateOptions& o);  // steps, guidance, sigmas
void add_overwrite_flag(CLI::App& app, bool& overwrite);
void add_noise_flags(CLI::App& app, GenerateOptions& o);  // --seed, --latents
void add_run_flags(CLI::App& app, GenerateOptions& o);    // threads, tiling, kernels, progress
// rceil, floor, ceil, even.
std::vector<std::string> scale_rule_names();
// Two of those.
CLI::Option* add_compute_flag(CLI::App& app, kernels::Compute& compute);
CLI::Option* add_attention_flag(CLI::App& app, kernels::AttentionProducts& attention);
// Sets what add_run_flags() reads of the process: its threads. Throws as kernels::check_row_runs()
// for a forced row that cannot run here.
void apply_run_flags(const GenerateOptions& o);

}  // namespace mxvideo::cli
