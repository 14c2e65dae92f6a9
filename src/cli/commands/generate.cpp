// mxvideo generate: flags -> GenerateRequest -> Run -> files.
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file/reserved_name.h"
#include "base/text/format.h"
#include "cli/commands/commands.h"
#include "cli/flags/conversion_options.h"
#include "cli/flags/environment.h"
#include "cli/flags/generate_options.h"
#include "cli/flags/generate_request.h"
#include "cli/flags/generation_flags.h"
#include "cli/json_text.h"
#include "cli/progress.h"
#include "cli/resources.h"
#include "cli/run_outputs.h"
#include "cli/run_summary.h"
#include "cli/threads.h"
#include "convert/quantization/quantize.h"
#include "pipeline/request/recipe.h"
#include "pipeline/run.h"
#include "pipeline/run_state.h"

namespace mxvideo::cli {
namespace {

using Json = nlohmann::ordered_json;
using pipeline::Engine;
using pipeline::GenerateRequest;
using pipeline::Run;

// "mxfp8", or "modelslim (DIR/quant_model_description.json)" where the files decide.
std::string describe_quantization(const Engine& model) {
  std::string text;
  for (const pipeline::Expert& expert : model.experts()) {
    std::string one(expert.quantization->name());
    if (!expert.declared_origin.empty()) one += " (" + expert.declared_origin + ")";
    if (one != text) text += (text.empty() ? "" : ", ") + one;
  }
  return text;
}

std::string describe(const Engine& model, const pipeline::ResolvedRequest& request) {
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
void check_save_quantized(const GenerateOptions& options, const Engine& model) {
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
std::unique_ptr<Engine> save_quantized(const GenerateOptions& options, const Engine& model,
                                       Progress& progress, const CancellationToken& cancellation) {
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
  return std::make_unique<Engine>(std::move(saved));
}

// Before the work: what the run needs against what this machine has.
void check_resources(const GenerateOptions& options, Run& run, GenerateRequest& request,
                     const RunOutputs& outputs, Progress& progress) {
  const ResourceCheck check{.allow_overcommit = options.allow_overcommit, .progress = &progress};
  const audit::PlanReport plan = plan_run(options, run, request);
  check.memory(plan);
  outputs.check_space(plan.disk, check);
  progress.line(time_line(estimate::tell_time(plan.memory.work, run.context.device(),
                                              {.rates_file = rates_file(),
                                               .effort = estimate::Effort::kBounded,
                                               .cancellation = run.hooks.cancellation})));
}

// The state of a run, kept on the way; nothing where the video goes to standard output.
class KeptState {
 public:
  KeptState(const GenerateOptions& options, const RunOutputs& outputs, Run& run) : run_(run) {
    if (outputs.state_path().empty()) return;
    file_.emplace(outputs.state_path(), std::chrono::duration<double>(options.checkpoint_seconds));
    if (!options.resume) return;
    if (file_->restore(run)) {
      run.notice("goes on after step " + position() + ", from " + file_->path().string());
    } else {
      run.notice("there is no " + file_->path().string() + "; the run begins with its first step");
    }
  }

  // A state that cannot be written is worth a line: the run is right without it.
  void after_step() {
    if (!file_) return;
    try {
      file_->after_step(run_);
    } catch (const Error& error) {
      if (!failed_) run_.notice("the state of the run is not kept: " + std::string(error.what()));
      failed_ = true;
    }
  }
  void remove() {
    if (file_) file_->remove();
  }
  // `error`, after which the run has ended, with how to go on.
  Error keep(const Error& error) {
    if (!file_ || error.code() == Code::kNumerics) return error;
    try {
      file_->save(run_);
    } catch (const Error& failure) {
      return {error.code(),
              std::string(error.what()) + "; the state of the run is not kept: " + failure.what()};
    }
    if (file_->saved_steps() == 0) return error;
    const bool cancelled = error.code() == Code::kCancelled;
    return {error.code(), (cancelled ? std::string("stopped") : std::string(error.what())) +
                              "; the state after step " + position() + " is in " +
                              file_->path().string() +
                              ", the same command with --resume goes on from there"};
  }

 private:
  std::string position() const {
    return std::to_string(run_.solver.step_index()) + " of " + std::to_string(run_.solver.steps());
  }

  Run& run_;
  std::optional<pipeline::RunStateFile> file_;
  bool failed_ = false;
};

void set_hooks(Run& run, RunOutputs& outputs, KeptState& state, Progress& progress) {
  run.hooks.progress = [&](std::string_view phase, int64_t done, int64_t total) {
    progress.update(phase, done, total);
  };
  run.hooks.within = [&](std::string_view phase, int64_t done, int64_t total, double part) {
    progress.within(phase, done, total, part);
  };
  run.hooks.on_step = [&](int64_t, const Tensor&) { state.after_step(); };
  run.hooks.on_latents = [&](const Tensor& latents) { outputs.save_latents(latents); };
  run.hooks.on_frames = [&](const media::FramePart& part) { outputs.add_frames(part); };
}

// Runs and writes all there is to write: what fails does not take the rest with it.
void execute(const GenerateOptions& options, Run& run, RunOutputs& outputs, Progress& progress) {
  KeptState state(options, outputs, run);
  set_hooks(run, outputs, state, progress);
  std::optional<Error> failure;
  std::string what;
  try {
    pipeline::generate(run);
    run.throw_if_cancelled();
    progress.update("write video", 0, 1);
    outputs.commit_video();
    progress.update("write video", 1, 1);
    state.remove();
  } catch (const Error& error) {
    what = error.what();
    failure = outputs.explain(error);
    if (outputs.latents_path().empty()) failure = state.keep(error);
    if (!outputs.has_latents() || error.code() == Code::kCancelled) throw *failure;
  }
  Json report = pipeline::report_json(run);
  if (failure) report["failure"] = what;
  report["total_seconds"] = progress.seconds();
  try {
    outputs.write_report(report);
  } catch (const Error& error) {
    if (!failure) failure = error;
  }
  progress.finish();
  if (!outputs.video_path().empty()) {
    progress.line(run_summary(run.report) + "; " + progress.total_time());
    print_result(options, outputs.video_path(), report);
  }
  if (failure) throw *failure;
}

void generate(GenerateOptions options, const CancellationToken& cancellation) {
  Progress progress(options.progress);
  apply_run_flags(options);
  use_threads(options.threads, progress);

  auto model = std::make_unique<Engine>(pipeline_options(options));
  check_save_quantized(options, *model);
  if (options.resume) {
    const std::string state = RunOutputs::state_path_of(options);
    if (!options.seed && name_exists(state)) options.seed = pipeline::RunStateFile::seed_of(state);
  }
  GenerateRequest request = make_request(options);
  apply_cfg_scale(options, model->variant(), request, progress);
  const pipeline::RunHooks hooks{
      .notice = [&](const std::string& line) { progress.line("note: " + line); },
      .cancellation = &cancellation};
  auto run = std::make_unique<Run>(*model, request, hooks);
  RunOutputs outputs(options, *model, run->request);
  progress.line(describe(*model, run->request));
  if (options.dry_run) return print_plan(options, *run, request);
  outputs.open();
  check_resources(options, *run, request, outputs, progress);
  if (!options.save_quantized.empty()) {
    model = save_quantized(options, *model, progress, cancellation);
    run = std::make_unique<Run>(*model, request, hooks);
  }
  const std::string recipe = to_text(pipeline::recipe_json(*model, request, run->request), -1);
  const std::string notice = outputs.prepare(run->request, recipe);
  if (!notice.empty()) request.notices.push_back(notice);
  execute(options, *run, outputs, progress);
}

}  // namespace

Command add_generate(CLI::App& app, const CancellationToken& cancellation) {
  auto options = std::make_shared<GenerateOptions>();
  add_generate_options(app, *options);
  return [options, &cancellation] { generate(*options, cancellation); };
}

}  // namespace mxvideo::cli
