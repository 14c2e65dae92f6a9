// mxvideo compare: flags -> SchemeComparison -> one HTML page and the same as JSON.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/format.h"
#include "base/text/json.h"
#include "cli/commands/commands.h"
#include "cli/flags/environment.h"
#include "cli/flags/generate_options.h"
#include "cli/flags/generate_request.h"
#include "cli/flags/generation_flags.h"
#include "cli/json_text.h"
#include "cli/output_target.h"
#include "cli/progress.h"
#include "cli/threads.h"
#include "evaluation/comparison_json.h"
#include "evaluation/page/comparison_html.h"
#include "evaluation/scheme_comparison.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;

// The first prompt of the model's own evaluation, for who has none in mind.
std::string default_prompt(const fs::path& model) {
  const fs::path path = model / "evaluation.json";
  if (!fs::exists(path)) {
    throw Error(Code::kInvalidArgument,
                "--prompt is required: there is no " + path.string() + " to take one from");
  }
  const nlohmann::json json = read_json_file(path);
  const auto prompts = json.find("prompts");
  if (prompts == json.end() || !prompts->is_array() || prompts->empty() ||
      !prompts->front().is_object() || !prompts->front().contains("prompt") ||
      !prompts->front()["prompt"].is_string()) {
    throw Error(Code::kCorruptFile, path.string() + ": expected prompts[0].prompt, a string");
  }
  return prompts->front()["prompt"].get<std::string>();
}

struct ReportFiles {
  std::unique_ptr<AtomicFile> html, json;
};

ReportFiles open_reports(const GenerateOptions& options, const fs::path& model) {
  OutputPaths paths(options.overwrite);
  for (const fs::path& input :
       {model, fs::path(options.image_path), fs::path(options.last_image_path),
        fs::path(options.latents_path)}) {
    paths.add_input(input);
  }
  std::string json = options.report_path;
  if (json.empty()) json = fs::path(options.output).replace_extension(".json").string();
  paths.add_output(options.output);
  paths.add_output(json);
  return {.html = paths.open(options.output), .json = paths.open(json)};
}

// Both files, or neither where that can be told before the first of them is in place.
void write_reports(const ReportFiles& files, const std::string& html, const std::string& json) {
  files.html->write(html);
  files.json->write(json);
  files.json->commit();
  files.html->commit();
}

std::string decibels(double value) {
  return std::isfinite(value) ? fmt::format("{:.2f}", value) : std::string("same");
}

// The page's most important numbers, in 80 columns.
void show_table(const evaluation::ComparisonResult& result, Progress& progress) {
  progress.line(fmt::format("{:<24}{:>9}{:>9}{:>8}{:>9}{:>9}{:>12}", "", "PSNR", "worst", "SSIM",
                            "step", "run", "peak"));
  progress.line(fmt::format("{:<24}{:>9}{:>9}{:>8}{:>9}{:>9}{:>12}", "scheme", "(dB)", "(dB)", "",
                            "(s)", "(s)", "memory"));
  for (const evaluation::SchemeResult& scheme : result.schemes) {
    const evaluation::SchemeSummary summary = evaluation::summarize(scheme);
    std::string quality = fmt::format("{:>26}", "the reference");
    if (scheme.fidelity) {
      quality =
          fmt::format("{:>9}{:>9}{:>8.4f}", decibels(scheme.fidelity->psnr_db),
                      decibels(scheme.fidelity->worst_frame_psnr_db), scheme.fidelity->mean_ssim);
    }
    progress.line(fmt::format("{:<24}{}{:>9.3f}{:>9.2f}{:>12}", scheme.name, quality,
                              summary.seconds_per_step, scheme.seconds,
                              format_bytes(summary.peak_rss_bytes)));
  }
}

evaluation::ComparisonOptions comparison_options(const GenerateOptions& options,
                                                 const std::string& schemes) {
  evaluation::ComparisonOptions result{.pipeline = pipeline_options(options),
                                       .schemes = evaluation::parse_scheme_variants(schemes)};
  if (result.schemes.size() == 1 && result.schemes.front().name != quantization::kNoScheme) {
    result.schemes.insert(result.schemes.begin(),
                          evaluation::parse_scheme_variants(quantization::kNoScheme).front());
  }
  for (evaluation::SchemeVariant& scheme : result.schemes) {
    if (!quantization::quantizes(scheme.options.scheme)) continue;
    scheme.options.ignored_layers = options.quantization.ignored_layers;
  }
  result.pipeline.quantization = {};
  return result;
}

void compare(GenerateOptions options, const std::string& schemes,
             const CancellationToken& cancellation) {
  Progress progress(options.progress);
  apply_run_flags(options);
  use_threads(options.threads, progress);
  const fs::path gnuplot = find_program("gnuplot");
  if (gnuplot.empty()) {
    throw Error(Code::kUnsupported,
                "compare draws its plots with gnuplot, which is not in PATH; install gnuplot-nox");
  }
  const evaluation::SchemeComparison comparison(comparison_options(options, schemes));
  const pipeline::Engine& model = comparison.reference();
  if (options.prompt.empty()) options.prompt = default_prompt(model.options().model_directory);
  pipeline::GenerateRequest request = make_request(options);
  apply_cfg_scale(options, model.variant(), request, progress);
  model.resolve(request);
  const ReportFiles files = open_reports(options, model.options().model_directory);

  const evaluation::ComparisonResult result = comparison.run(
      request,
      {.progress =
           [&](const std::string& run, std::string_view phase, int64_t done, int64_t total) {
             progress.update(run + ": " + std::string(phase), done, total);
           },
       .notice = [&](const std::string& line) { progress.line("note: " + line); },
       .cancellation = &cancellation});

  progress.update("write report", 0, 1);
  const std::string page = evaluation::to_html(result, gnuplot);
  const std::string json = to_text(evaluation::to_json(result)) + "\n";
  cancellation.throw_if_cancelled();
  write_reports(files, page, json);
  progress.update("write report", 1, 1);
  progress.finish();
  show_table(result, progress);
  progress.line(progress.total_time());
  std::cout << (options.json ? json : files.html->path().string() + "\n") << std::flush;
}

void add_flags(CLI::App& app, GenerateOptions& o, std::string& schemes) {
  add_model_flags(app, o);
  add_field_flag(app, "quantization_ignored_layers", o)->group(kModelGroup);
  app.add_option("--quantization,--schemes", schemes,
                 "Schemes, comma-separated, the reference first: none, mxfp8, with a rule of the "
                 "block scales, mxfp8:floor, or with attention in integers, mxfp8+int8-attention; "
                 "one alone is compared with none")
      ->capture_default_str()
      ->group(kModelGroup);
  using enum pipeline::FieldSection;
  add_section_flags(app, kPrompt, o);
  app.get_option("--prompt")
      ->description(
          "Prompt, or - for standard input (default: the first one of MODEL/evaluation.json)");
  add_section_flags(app, kNegativePrompt, o);
  add_section_flags(app, kImage, o);
  add_frame_flags(app, o);
  add_sampling_flags(app, o);
  o.seed = 0;
  add_section_flags(app, kNoise, o);
  app.add_option("-o,--output", o.output, "The report, an HTML page")
      ->required()
      ->check(ends_with(".html", {".htm"}))
      ->group(kOutputGroup);
  app.add_option("--report,--json-output", o.report_path,
                 "The same as JSON (default: beside --output, ending in .json)")
      ->check(ends_with(".json"))
      ->group(kOutputGroup);
  app.add_flag("--json", o.json, "Print the JSON too")->group(kOutputGroup);
  add_overwrite_flag(app, o.overwrite);
  add_run_flags(app, o);
}

}  // namespace

Command add_compare(CLI::App& app, const CancellationToken& cancellation) {
  auto options = std::make_shared<GenerateOptions>();
  auto schemes = std::make_shared<std::string>("none,mxfp8");
  CLI::App* parser = app.add_subcommand(
      "compare", "Run several schemes from one seed and report how far they are apart");
  add_flags(*parser, *options, *schemes);
  return [options, schemes, &cancellation] { compare(*options, *schemes, cancellation); };
}

}  // namespace mxvideo::cli
