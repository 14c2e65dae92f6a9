#include "cli/flags/conversion_options.h"

#include <fmt/format.h>

#include <iostream>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/format.h"
#include "cli/flags/environment.h"
#include "cli/flags/generation_flags.h"
#include "cli/json_text.h"
#include "cli/output_target.h"
#include "convert/layout.h"

namespace mxvideo::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string size_text(const Json& bytes) { return format_bytes(bytes.get<int64_t>()); }

void print_plan(const Json& result) {
  std::cout << fmt::format("{} {} -> {} ({}), {}\n", result["command"].get<std::string>(),
                           result["model_type"].get<std::string>(),
                           result["output"].get<std::string>(), result["layout"].get<std::string>(),
                           size_text(result["bytes"]));
  for (const Json& component : result["components"]) {
    const auto int8 = component["mxint8_layers"].get<int64_t>();
    std::cout << fmt::format("{}: {}{}\n", component["component"].get<std::string>(),
                             count_of(component["mxfp8_layers"].get<int64_t>(), "MXFP8 layer"),
                             int8 > 0 ? ", " + count_of(int8, "MXINT8 layer") : "");
    for (const Json& file : component["files"]) {
      std::cout << fmt::format("  {:<64} {:>10}  {}\n", file["file"].get<std::string>(),
                               size_text(file["bytes"]),
                               count_of(file["tensors"].get<int64_t>(), "tensor"));
    }
    for (const Json& text : component["texts"]) {
      std::cout << "  " << text.get<std::string>() << "\n";
    }
  }
  const Json& rest = result["rest"];
  if (rest["files"].get<int64_t>() > 0) {
    std::cout << fmt::format("rest of the model: {}, {}, {} of them linked\n",
                             count_of(rest["files"].get<int64_t>(), "file"),
                             size_text(rest["bytes"]), rest["linked"].size());
  }
}

}  // namespace

void add_conversion_flags(CLI::App& app, ConversionFlags& flags, const std::string& output_names) {
  convert::OutputOptions& output = flags.output;
  app.add_option(output_names, output.path, "Directory that is made; it must not exist")
      ->required()
      ->group(kOutputGroup);
  app.add_option_function<std::string>(
         "--layout",
         [&output](const std::string& name) { output.layout = convert::parse_layout(name); },
         "modelslim (what msmodelslim exports; also: original), diffusers (default; a whole model "
         "as SGLang loads it) or comfy (one file per expert for ComfyUI)")
      ->transform(choice_of({"modelslim", "diffusers", "comfy", "original"}))
      ->group(kOutputGroup);
  app.add_option_function<std::string>(
         "--shard-size",
         [&output](const std::string& text) {
           output.shard_bytes = size_of_flag("--shard-size", text);
         },
         "Largest weight file, such as 5GB or 500MB (default 10GB; comfy is never sharded)")
      ->group(kOutputGroup);
  app.add_flag(
         "--copy", output.copy,
         "Copy the weights of the rest of the model instead of linking them; all other files are "
         "always copied")
      ->group(kOutputGroup);
  app.add_flag("--overwrite", output.overwrite, "Replace an existing output, at the very end")
      ->group(kOutputGroup);
  app.add_flag("--discard-partial", output.discard_partial,
               "Start over where another job left a partial output")
      ->group(kOutputGroup);
  app.add_flag("--dry-run", output.dry_run, "Check everything, print what would be written")
      ->group(kOutputGroup);
  app.add_option("--report", flags.report_path, "Write a JSON report to this file")
      ->group(kOutputGroup);
  app.add_flag("--json", flags.json, "Print the result as JSON")->group(kOutputGroup);
  app.add_option("--threads", flags.threads, "Threads (default: all of this machine)")
      ->check(CLI::Range(1, 4096))
      ->group(kRunGroup);
  add_progress_flags(app, flags.progress);
}

void add_expert_flags(CLI::App& app, convert::ModelInputs& inputs) {
  app.add_option("--high-noise-model", inputs.high_noise,
                 "File or directory of the high-noise expert (A14B)")
      ->group("Model");
  app.add_option("--low-noise-model", inputs.low_noise,
                 "File or directory of the low-noise expert (A14B)")
      ->group("Model");
}

void find_expert_parts(convert::ModelInputs& inputs) {
  inputs.high_noise = find_part(inputs.high_noise.string());
  inputs.low_noise = find_part(inputs.low_noise.string());
}

checkpoint::ModelNeeds conversion_needs(bool whole_model) {
  return {.components = {{"transformer", true}, {"transformer_2", true}}, .others = whole_model};
}

void add_model_type_flag(CLI::App& app, std::optional<checkpoint::WanVariant>& type) {
  app.add_option_function<std::string>(
         "--model-type",
         [&type](const std::string& name) { type = convert::parse_model_type(name); },
         "Wan2.2-T2V-A14B, Wan2.2-I2V-A14B or Wan2.2-TI2V-5B (default: what the files hold)")
      ->transform(choice_of({"Wan2.2-T2V-A14B", "Wan2.2-I2V-A14B", "Wan2.2-TI2V-5B"}))
      ->group("Model");
}

convert::ConvertHooks conversion_hooks(Progress& progress, const CancellationToken& cancellation) {
  return {.progress = [&progress](std::string_view phase, int64_t done,
                                  int64_t total) { progress.update(phase, done, total); },
          .notice = [&progress](const std::string& line) { progress.line("note: " + line); },
          .report = {},
          .cancellation = &cancellation};
}

Json run_conversion_command(const convert::OutputOptions& output,
                            const std::function<Json()>& convert) {
  try {
    return convert();
  } catch (const Error& error) {
    std::string partial = output.path.string();
    while (partial.ends_with('/')) partial.pop_back();
    partial += ".partial";
    if (error.code() != Code::kCancelled || !std::filesystem::exists(partial)) throw;
    throw Error(Code::kCancelled, "stopped; the same command goes on from " + partial);
  }
}

std::unique_ptr<AtomicFile> open_report(const ConversionFlags& flags,
                                        std::initializer_list<std::filesystem::path> inputs) {
  OutputPaths paths(flags.output.overwrite);
  for (const std::filesystem::path& input : inputs) paths.add_input(input);
  paths.add_directory(flags.output.path.string());
  paths.add_output(flags.report_path);
  return paths.open(flags.report_path);
}

void write_report(AtomicFile* report, const Json& result) {
  if (report == nullptr) return;
  report->write(to_text(result) + "\n");
  report->commit();
}

void print_conversion(const ConversionFlags& flags, const Json& result) {
  if (flags.json) {
    std::cout << to_text(result) << "\n";
  } else if (flags.output.dry_run) {
    print_plan(result);
  } else {
    std::cout << flags.output.path.string() << "\n";
  }
  std::cout << std::flush;
}

}  // namespace mxvideo::cli
