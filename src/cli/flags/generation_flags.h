// Flags of the commands which generate: generate, plan, evaluate and compare. Those of a request
// come from the table of pipeline/request/request_fields.h, under the names and sections of it.
// What a flag says arrives in a form or in GenerateOptions, which must outlive the parse;
// generate_request.h turns that into what the pipeline takes. Not thread-safe.
#pragma once

#include <CLI/CLI.hpp>
#include <string_view>

#include "cli/flags/generate_options.h"
#include "cli/flags/validators.h"
#include "pipeline/request/request_fields.h"

namespace mxvideo::cli {

// Headings of --help.
inline constexpr const char* kModelGroup = "Model";
inline constexpr const char* kOutputGroup = "Output";
inline constexpr const char* kRunGroup = "Run";

// One field of the table, without a heading.
CLI::Option* add_field_flag(CLI::App& app, std::string_view name, pipeline::RequestForm& form);
// The fields of a section under their heading.
void add_section_flags(CLI::App& app, pipeline::FieldSection section, pipeline::RequestForm& form);

void add_model_flags(CLI::App& app, GenerateOptions& o);     // --model-path and its parts
void add_frame_flags(CLI::App& app, GenerateOptions& o);     // size, number and rate of frames
void add_sampling_flags(CLI::App& app, GenerateOptions& o);  // steps, guidance, sigmas
void add_overwrite_flag(CLI::App& app, bool& overwrite);
void add_run_flags(CLI::App& app, GenerateOptions& o);  // threads, tiling, kernels, progress
// Sets what add_run_flags() reads of the process: its threads. Throws as kernels::check_row_runs()
// for a forced row that cannot run here.
void apply_run_flags(const GenerateOptions& o);

}  // namespace mxvideo::cli
