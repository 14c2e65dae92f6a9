// mxvideo generate: flags -> GenerateRequest -> WanPipeline -> files.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <span>

#include "base/atomic_file.h"
#include "base/format.h"
#include "checkpoint/safetensors_writer.h"
#include "cli/commands.h"
#include "cli/conversion_options.h"
#include "cli/generate_options.h"
#include "cli/generate_request.h"
#include "cli/generation_flags.h"
#include "cli/json_text.h"
#include "cli/output_target.h"
#include "cli/progress.h"
#include "cli/run_summary.h"
#include "convert/quantize.h"
#include "pipeline/recipe.h"
#include "pipeline/wan_pipeline.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;
using pipeline::GenerateRequest;
using pipeline::GenerateResult;
using pipeline::WanPipeline;

void write_latents(const fs::path& path, const Tensor& latents, const std::string& recipe) {
  const checkpoint::NamedTensor tensor{.name = "latents", .view = latents.view()};
  checkpoint::write_safetensors(path, std::span(&tensor, 1), {{"recipe", recipe}});
}

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

// The video, the report and the latents must not overwrite each other.
void check_side_outputs(const GenerateOptions& options, const OutputTarget& target) {
  std::set<fs::path> taken = {fs::weakly_canonical(fs::absolute(target.path))};
  for (const std::string& path : {options.report_path, options.save_latents_path}) {
    if (path.empty()) continue;
    check_writable(path);
    if (!taken.insert(fs::weakly_canonical(fs::absolute(path))).second) {
      throw Error(Code::kInvalidArgument,
                  path + ": --output, --report and --save-latents need different files");
    }
  }
  if (options.json && target.path == "-") {
    throw Error(Code::kInvalidArgument,
                "--json and --output - both want standard output; --report writes JSON to a file");
  }
}

void print_result(const GenerateOptions& options, const std::string& output,
                  const nlohmann::ordered_json& report) {
  if (output == "-") return;  // standard output is the video
  if (!options.json) {
    std::cout << output << "\n" << std::flush;
    return;
  }
  nlohmann::ordered_json result = {{"output", output}};
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
  if (scheme != "mxfp8" && scheme != "mxint8") {
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
  run_conversion_command(quantize.output, [&] {
    return convert::quantize_model(quantize, conversion_hooks(progress, cancellation));
  });
  progress.line("note: quantized model saved to " + options.save_quantized);
  pipeline::PipelineOptions saved;
  saved.model_directory = options.save_quantized;
  saved.quantization.mx = options.quantization.mx;
  saved.text_quantization = options.text_quantization;
  saved.forced_kernels = options.forced_kernels;
  saved.compute = options.compute;
  saved.attention = options.attention;
  saved.text_cache = options.text_cache;
  return std::make_unique<WanPipeline>(std::move(saved));
}

void generate(const GenerateOptions& options, const CancellationToken& cancellation) {
  Progress progress(options.progress);
  apply_run_flags(options);

  auto model = std::make_unique<WanPipeline>(pipeline_options(options));
  check_save_quantized(options, *model);
  GenerateRequest request = make_request(options);
  apply_cfg_scale(options, model->variant(), request, progress);
  const pipeline::ResolvedRequest resolved = model->resolve(request);
  const OutputTarget target =
      parse_output_target(output_path(options, resolved), options.output_format);
  check_side_outputs(options, target);
  progress.line(describe(*model, resolved));
  if (options.dry_run) return print_plan(options, std::move(request));
  if (!options.save_quantized.empty()) {
    model = save_quantized(options, *model, progress, cancellation);
  }

  const GenerateResult result = model->generate(
      request, {.progress = [&](std::string_view phase, int64_t done,
                                int64_t total) { progress.update(phase, done, total); },
                .notice = [&](const std::string& line) { progress.line("note: " + line); },
                .on_step = {},
                .cancellation = &cancellation});

  cancellation.throw_if_cancelled();
  const std::string recipe = to_text(pipeline::recipe_json(*model, request, resolved), -1);
  auto report = pipeline::report_json(*model, request, result);
  progress.update("write video", 0, 1);
  write_video(target, result.video, static_cast<double>(resolved.fps),
              {{"title", resolved.prompt}, {"comment", recipe}});
  progress.update("write video", 1, 1);
  if (!options.save_latents_path.empty()) {
    write_latents(options.save_latents_path, result.latents, recipe);
  }
  report["output"] = target.path;
  report["total_seconds"] = progress.seconds();
  if (!options.report_path.empty()) {
    write_file_atomically(options.report_path, to_text(report) + "\n");
  }
  progress.finish();
  progress.line(run_summary(result.report) + "; " + progress.total_time());
  print_result(options, target.path, report);
}

}  // namespace

Command add_generate(CLI::App& app, const CancellationToken& cancellation) {
  auto options = std::make_shared<GenerateOptions>();
  add_generate_options(app, *options);
  return [options, &cancellation] { generate(*options, cancellation); };
}

}  // namespace mxvideo::cli
