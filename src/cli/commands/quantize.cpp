// mxvideo quantize: flags -> convert::quantize_model -> a directory and a report.
#include "convert/quantization/quantize.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/text/format.h"
#include "cli/commands/commands.h"
#include "cli/flags/conversion_options.h"
#include "cli/flags/environment.h"
#include "cli/flags/generation_flags.h"
#include "cli/output_target.h"
#include "cli/threads.h"

namespace mxvideo::cli {
namespace {

using Json = nlohmann::ordered_json;

struct QuantizeFlags {
  convert::QuantizeOptions quantize;
  ConversionFlags conversion;
  std::string model_path, original, revision;
};

void add_model_flags(CLI::App& app, QuantizeFlags& flags) {
  constexpr const char* kGroup = "Model";
  convert::QuantizeOptions& options = flags.quantize;
  app.add_option("-m,--model-path,--model", flags.model_path,
                 "Float model: a Diffusers or original Wan directory, org/name[@revision] in the "
                 "local caches, or one .safetensors file")
      ->group(kGroup);
  app.add_option("--revision", flags.revision, "Revision of org/name (default main)")
      ->group(kGroup);
  add_expert_flags(app, options.model);
  app.add_option("--original-model-path", flags.original,
                 "Diffusers model with the rest, for a source that has none: a directory or "
                 "org/name[@revision]")
      ->group(kGroup);
  add_model_type_flag(app, options.model_type);
  add_allow_links_flag(app, kGroup);
}

void add_quantization_flags(CLI::App& app, convert::QuantizeOptions& options) {
  constexpr const char* kGroup = "Quantization";
  app.add_option_function<std::string>(
         "--quantization",
         [&options](const std::string& name) {
           options.mx.element = *quantization::scheme_element(name);
         },
         "Format: mxfp8 (default) or mxint8 (as many bytes, less noise; mxvideo's own type in "
         "msmodelslim's style, which other engines do not read; not for --layout comfy)")
      ->transform(choice_of(quantization::scheme_names(quantization::SchemeSet::kQuantizing)))
      ->group(kGroup);
  app.add_option_function<std::string>(
         "--mx-scale-rule",
         [&options](const std::string& name) {
           options.mx.scale_rule = formats::parse_scale_rule(name);
         },
         "Block scale: rceil (default), floor, ceil or even")
      ->transform(choice_of(pipeline::choice_names("mx_scale_rule")))
      ->group(kGroup);
  app.add_option_function<std::string>(
         "--rounding",
         [&options](const std::string& name) {
           options.mx.rounding = name == "even" ? formats::ElementRounding::kNearestEven
                                                : formats::ElementRounding::kHalfAway;
         },
         "Elements half-way between two codes: even (default) or half-away (msmodelslim)")
      ->transform(choice_of({"even", "half-away"}))
      ->group(kGroup);
  app.add_option("--quantization-ignored-layers,--ignored-layers", options.ignored_layers,
                 "Layers to leave unquantized, comma-separated globs: 'blocks.0.*,*.attn2.to_k'")
      ->delimiter(',')
      ->group(kGroup);
  app.add_option("--min-sqnr", options.min_sqnr_db,
                 "Fail, before anything is committed, when a layer has fewer dB than this")
      ->group(kGroup);
}

// "400 layers, SQNR 31.0 dB, worst 28.1 dB (blocks.0.attn1.to_q), 12 elements flushed"
void print_totals(const Json& result, Progress& progress) {
  for (const Json& component : result["components"]) {
    if (!component.contains("total")) continue;
    const Json& total = component["total"];
    const auto db = [&](const char* key) {
      return total.value(key, Json()).is_number()
                 ? fmt::format("{:.2f} dB", total[key].get<double>())
                 : std::string("exact");
    };
    progress.line(fmt::format(
        "{}: {}, SQNR {}, worst {} ({}), {} of {} saturated, {} flushed",
        component["component"].get<std::string>(),
        count_of(total["layers"].get<int64_t>(), "layer"), db("sqnr_db"), db("worst_sqnr_db"),
        total.value("worst_layer", std::string("none")), total["saturated"].get<int64_t>(),
        count_of(total["elements"].get<int64_t>(), "element"), total["flushed"].get<int64_t>()));
  }
}

void quantize(QuantizeFlags flags, const CancellationToken& cancellation) {
  Progress progress(flags.conversion.progress);
  use_threads(flags.conversion.threads, progress);
  // Without --original-model-path the rest of the model comes from the same place.
  const bool whole = flags.conversion.output.layout == convert::Layout::kDiffusers;
  if (!flags.model_path.empty()) {
    flags.quantize.model.path = find_model_or_file(
        flags.model_path, flags.revision, conversion_needs(whole && flags.original.empty()));
  }
  if (!flags.original.empty()) {
    flags.quantize.original = find_model(flags.original, "", conversion_needs(whole));
  }
  find_expert_parts(flags.quantize.model);
  flags.quantize.output = flags.conversion.output;
  const convert::ModelInputs& model = flags.quantize.model;
  const std::unique_ptr<AtomicFile> report_file = open_report(
      flags.conversion, {model.path, model.high_noise, model.low_noise, flags.quantize.original});
  convert::ConvertHooks hooks = conversion_hooks(progress, cancellation);
  hooks.report = [&](const Json& report) {
    progress.finish();
    if (!flags.conversion.json) {
      progress.line(convert::quantize_report_table(report));
    }
    print_totals(report, progress);
    write_report(report_file.get(), report);  // also where --min-sqnr fails the run
  };
  const Json result = run_conversion_command(
      flags.quantize.output, [&] { return convert::quantize_model(flags.quantize, hooks); });
  progress.finish();
  progress.line(progress.total_time());
  if (flags.conversion.output.dry_run) write_report(report_file.get(), result);
  print_conversion(flags.conversion, result);
}

}  // namespace

Command add_quantize(CLI::App& app, const CancellationToken& cancellation) {
  auto flags = std::make_shared<QuantizeFlags>();
  CLI::App* parser =
      app.add_subcommand("quantize", "Quantize the weights of a model to MXFP8 or MXINT8");
  add_model_flags(*parser, *flags);
  add_quantization_flags(*parser, flags->quantize);
  add_conversion_flags(*parser, flags->conversion, "-o,--output");
  return [flags, &cancellation] { quantize(*flags, cancellation); };
}

}  // namespace mxvideo::cli
