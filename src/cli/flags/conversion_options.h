// Flags and output that `mxvideo quantize` and `mxvideo repack` share.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/cancellation.h"
#include "base/file/atomic_file.h"
#include "checkpoint/snapshot.h"
#include "cli/progress.h"
#include "convert/conversion.h"
#include "convert/model_source.h"

namespace mxvideo::cli {

struct ConversionFlags {
  convert::OutputOptions output;
  std::string report_path;
  ProgressFlags progress;
  int threads = 0;  // 0: all
  bool json = false;
};

// --output and everything behind it; `output_names` are the spellings of that flag. Values arrive
// in `flags`, which must outlive the parse.
void add_conversion_flags(CLI::App& app, ConversionFlags& flags, const std::string& output_names);

// --high-noise-model and --low-noise-model; after the parse find_expert_parts() looks them up.
void add_expert_flags(CLI::App& app, convert::ModelInputs& inputs);
void find_expert_parts(convert::ModelInputs& inputs);

// What a conversion reads of a model: its transformers, or all of it where a whole one is written.
checkpoint::ModelNeeds conversion_needs(bool whole_model);

// --model-type.
void add_model_type_flag(CLI::App& app, std::optional<checkpoint::WanVariant>& type);

// Hooks that show progress and stop on cancellation; both must outlive them.
convert::ConvertHooks conversion_hooks(Progress& progress, const CancellationToken& cancellation);

// Runs a conversion into `output`; says, when it was cancelled, what stays.
nlohmann::ordered_json run_conversion_command(
    const convert::OutputOptions& output, const std::function<nlohmann::ordered_json()>& convert);

// Opens --report before the work, which reads `inputs`; nullptr without. Throws as OutputPaths.
std::unique_ptr<AtomicFile> open_report(const ConversionFlags& flags,
                                        std::initializer_list<std::filesystem::path> inputs);
// Writes it, if it is one. Call it before the result goes to stdout.
void write_report(AtomicFile* report, const nlohmann::ordered_json& result);

// stdout: the result as JSON with --json, what would be written with --dry-run, else the path.
void print_conversion(const ConversionFlags& flags, const nlohmann::ordered_json& result);

}  // namespace mxvideo::cli
