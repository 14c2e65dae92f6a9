// mxvideo generate: flags -> GenerateRequest -> WanPipeline -> files.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/text/format.h"
#include "cli/commands/commands.h"
#include "cli/flags/conversion_options.h"
#include "cli/flags/generate_options.h"
#include "cli/flags/generate_request.h"
#include "cli/flags/generation_flags.h"
#include "cli/json_text.h"
#include "cli/progress.h"
#include "cli/resources.h"
#include "cli/run_outputs.h"
#include "cli/run_summary.h"
#include "cli/threads.h"
#include "convert/quantize.h"
#include "pipeline/recipe.h"
#include "pipeline/wan_pipeline.h"

namespace mxvideo::cli {
namespace {

using Json = nlohmann::ordered_json;
using pipeline::GenerateRequest;
using pipeline::GenerateResult;
using pipeline::WanPipeline;

// "mxfp8", or "modelslim (DIR/quant_model_description.json)" where the files decide.
std::string describe_quantization(const WanPipeline& model) {
  std::string text;
  for (const pipeline::WanExpert& expert : model.experts()) {
    std::string one(expert.quantization->name());
    if (!expert.declared_origin.empty()) one += " (" + expert.declared_origin + ")";
    if (one != text) text += (text.empty() ? "" : ", ") + one;
  }
  return text;
}

std::string describe(const WanPipeline& model, const pipeline::ResolvedRequest& request) {
  return fmt::format("{} {}x{}, {} at {} fps, {}, seed {}, quantization {}",
                     checkpoint::variant_name(model.variant()), request.width, request.height,
                     count_of(request.num_frames, "frame"), request.fps,
                     count_of(request.num_inference_steps, "step"), request.seed,
                     describe_quantization(model));
}

void print_result(const GenerateOptions& options, const std::string& output, const Json& report) {
  if (output == "-") return;  // standard output is the video
  if (!options.json) {
    std::cout << output << "\n" << std::flush;
    return;
  }
  Json result = {{"output", output}};
  result.update(report);
  std::cout << to_text(result) << "\n" << std::flush;
}

// --save-quantized: needs a model that this run would quantize, as it is on disk.
void check_save_quantized(const GenerateOptions& options, const WanPipeline& model) {
  if (options.save_quantized.empty()) return;
  const pipeline::PipelineOptions& source = model.options();
  if (!source.component_paths.empty() || !source.weights_paths.empty()) {
    throw Error(Code::kInvalidArgument,
                "--save-quantized takes the model as it is, without --transformer-path and the "
                "like; mxvideo quantize reads single files");
  }
  const std::string_view scheme = model.experts().front().quantization->name();
  if (!quantization::scheme_element(scheme)) {
    throw Error(Code::kInvalidArgument,
                "--save-quantized needs --quantization mxfp8 or mxint8 and a model that is not "
                "quantized; got " +
                    describe_quantization(model));
  }
}

// Quantizes into a directory and returns the model that lies there: the same bits as quantizing
// while loading.
std::unique_ptr<WanPipeline> save_quantized(const GenerateOptions& options,
                                            const WanPipeline& model, Progress& progress,
                                            const CancellationToken& cancellation) {
  convert::QuantizeOptions quantize;
  quantize.model.path = model.options().model_directory;
  quantize.mx = quantization::mx_options(options.quantization);
  quantize.ignored_layers = options.quantization.ignored_layers;
  quantize.output.path = options.save_quantized;
  quantize.output.overwrite = options.overwrite;
  run_conversion_command(quantize.output, [&] {
    return convert::quantize_model(quantize, conversion_hooks(progress, cancellation));
  });
  progress.line("note: quantized model saved to " + options.save_quantized);
  pipeline::PipelineOptions saved = model.options();
  saved.model_directory = options.save_quantized;
  saved.quantization.scheme.clear();
  saved.quantization.ignored_layers.clear();
  return std::make_unique<WanPipeline>(std::move(saved));
}

// Before the work: what the run needs against what this machine has.
void check_resources(const GenerateOptions& options, const WanPipeline& model,
                     GenerateRequest& request, const RunOutputs& outputs, Progress& progress) {
  const ResourceCheck check{.allow_overcommit = options.allow_overcommit, .progress = &progress};
  const audit::PlanReport plan = plan_run(options, model, request);
  check.memory(plan);
  outputs.check_space(plan.disk, check);
}

struct Job {
  const WanPipeline& model;
  const GenerateRequest& request;
};

pipeline::RunHooks run_hooks(RunOutputs& outputs, Progress& progress,
                             const CancellationToken& cancellation) {
  return {.progress = [&](std::string_view phase, int64_t done,
                          int64_t total) { progress.update(phase, done, total); },
          .notice = [&](const std::string& line) { progress.line("note: " + line); },
          .cancellation = &cancellation,
          .within = [&](std::string_view phase, int64_t done, int64_t total,
                        double part) { progress.within(phase, done, total, part); },
          .on_latents = [&](const Tensor& latents) { outputs.save_latents(latents); },
          .on_frames = [&](const media::FramePart& part) { outputs.add_frames(part); }};
}

// Runs `job` and writes all there is to write: what fails does not take the rest with it.
void run(const GenerateOptions& options, const Job& job, RunOutputs& outputs, Progress& progress,
         const CancellationToken& cancellation) {
  std::optional<Error> failure;
  Json report;
  pipeline::RunReport run_report;
  try {
    const pipeline::RunHooks hooks = run_hooks(outputs, progress, cancellation);
    GenerateResult result = job.model.generate_latents(job.request, hooks);
    report = pipeline::report_json(job.model, job.request, result);
    job.model.decode(result, hooks);
    run_report = result.report;
    report = pipeline::report_json(job.model, job.request, result);
    cancellation.throw_if_cancelled();
    progress.update("write video", 0, 1);
    outputs.commit_video();
    progress.update("write video", 1, 1);
  } catch (const Error& error) {
    failure = outputs.explain(error);
    if (report.is_null() || error.code() == Code::kCancelled) throw *failure;
    report["failure"] = error.what();
  }
  report["total_seconds"] = progress.seconds();
  try {
    outputs.write_report(report);
  } catch (const Error& error) {
    if (!failure) failure = error;
  }
  progress.finish();
  if (!outputs.video_path().empty()) {
    progress.line(run_summary(run_report) + "; " + progress.total_time());
    print_result(options, outputs.video_path(), report);
  }
  if (failure) throw *failure;
}

void generate(const GenerateOptions& options, const CancellationToken& cancellation) {
  Progress progress(options.progress);
  apply_run_flags(options);
  use_threads(options.threads, progress);

  auto model = std::make_unique<WanPipeline>(pipeline_options(options));
  check_save_quantized(options, *model);
  GenerateRequest request = make_request(options);
  apply_cfg_scale(options, model->variant(), request, progress);
  const pipeline::ResolvedRequest resolved = model->resolve(request);
  RunOutputs outputs(options, *model, resolved);
  progress.line(describe(*model, resolved));
  if (options.dry_run) return print_plan(options, *model, std::move(request));
  outputs.open();
  check_resources(options, *model, request, outputs, progress);
  if (!options.save_quantized.empty()) {
    model = save_quantized(options, *model, progress, cancellation);
  }
  const std::string recipe = to_text(pipeline::recipe_json(*model, request, resolved), -1);
  const std::string notice = outputs.prepare(resolved, recipe);
  if (!notice.empty()) request.notices.push_back(notice);
  run(options, {*model, request}, outputs, progress, cancellation);
}

}  // namespace

Command add_generate(CLI::App& app, const CancellationToken& cancellation) {
  auto options = std::make_shared<GenerateOptions>();
  add_generate_options(app, *options);
  return [options, &cancellation] { generate(*options, cancellation); };
}

}  // namespace mxvideo::cli
