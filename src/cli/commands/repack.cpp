// mxvideo repack: flags -> convert::repack_model -> a directory.
#include "convert/repack.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/text/format.h"
#include "cli/commands/commands.h"
#include "cli/flags/conversion_options.h"
#include "cli/flags/environment.h"
#include "cli/output_target.h"
#include "cli/threads.h"

namespace mxvideo::cli {
namespace {

using Json = nlohmann::ordered_json;

struct RepackFlags {
  convert::RepackOptions repack;
  ConversionFlags conversion;
  std::string original, revision;
};

void add_model_flags(CLI::App& app, RepackFlags& flags) {
  constexpr const char* kGroup = "Model";
  convert::RepackOptions& options = flags.repack;
  add_model_type_flag(app, options.model_type);
  app.add_option("--original-model-path", flags.original,
                 "The float model that the export was made from: what the export omits and, for "
                 "--layout diffusers, the rest of the model; a directory or org/name[@revision]")
      ->group(kGroup);
  app.add_option("--revision", flags.revision, "Revision of org/name (default main)")
      ->group(kGroup);
  app.add_option("-m,--model-path,--model,--quant-path", options.quant.path,
                 "What is repacked: an msmodelslim export, a Diffusers or original Wan directory, "
                 "ComfyUI files, or org/name[@revision] of one in the local caches")
      ->group(kGroup);
  add_expert_flags(app, options.quant);
  add_allow_links_flag(app, kGroup);
  app.add_flag("--verify", options.verify,
               "Read the output again and compare every tensor before it is committed")
      ->group("Output");
}

void repack(RepackFlags flags, const CancellationToken& cancellation) {
  Progress progress(flags.conversion.progress);
  use_threads(flags.conversion.threads, progress);
  if (!flags.original.empty()) {
    const bool whole = flags.conversion.output.layout == convert::Layout::kDiffusers;
    flags.repack.original = find_model(flags.original, flags.revision, conversion_needs(whole));
  }
  flags.repack.quant.path = find_part(flags.repack.quant.path.string());
  find_expert_parts(flags.repack.quant);
  flags.repack.quant.path_field = "model_path";
  flags.repack.output = flags.conversion.output;
  const convert::ModelInputs& quant = flags.repack.quant;
  const std::unique_ptr<AtomicFile> report_file = open_report(
      flags.conversion, {quant.path, quant.high_noise, quant.low_noise, flags.repack.original});
  const Json result = run_conversion_command(flags.repack.output, [&] {
    return convert::repack_model(flags.repack, conversion_hooks(progress, cancellation));
  });
  progress.finish();
  for (const Json& component : result["components"]) {
    const Json& overlaid = component["overlaid"];
    if (overlaid.empty()) continue;
    progress.line(fmt::format("{}: {} that the export omits came from the original",
                              component["component"].get<std::string>(),
                              count_of(std::ssize(overlaid), "float tensor")));
  }
  progress.line(progress.total_time());
  write_report(report_file.get(), result);
  print_conversion(flags.conversion, result);
}

}  // namespace

Command add_repack(CLI::App& app, const CancellationToken& cancellation) {
  auto flags = std::make_shared<RepackFlags>();
  CLI::App* parser = app.add_subcommand("repack", "Bring a model into another layout, bit for bit");
  add_model_flags(*parser, *flags);
  add_conversion_flags(*parser, flags->conversion, "-o,--output,--output-path");
  return [flags, &cancellation] { repack(*flags, cancellation); };
}

}  // namespace mxvideo::cli
