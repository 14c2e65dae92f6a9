// mxvideo generate: flags -> GenerateRequest -> WanPipeline -> files.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>

#include "base/atomic_file.h"
#include "base/parallel.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors_writer.h"
#include "cli/commands.h"
#include "cli/generate_options.h"
#include "cli/output_target.h"
#include "cli/progress.h"
#include "kernels/registry.h"
#include "media/image_reader.h"
#include "pipeline/numerics_guard.h"
#include "pipeline/recipe.h"
#include "pipeline/wan_pipeline.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;
using pipeline::GenerateRequest;
using pipeline::GenerateResult;
using pipeline::WanPipeline;

// The prompt itself, or standard input for "-".
std::string read_prompt(const std::string& argument) {
  if (argument != "-") return argument;
  constexpr size_t kMaxPromptBytes = 1 << 20;
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.size() > kMaxPromptBytes) {
    throw Error(Code::kInvalidArgument, "--prompt -: more than 1 MiB on standard input");
  }
  return text;
}

uint64_t choose_seed(int64_t asked) {
  if (asked >= 0) return static_cast<uint64_t>(asked);
  std::random_device device;
  return device();  // 32 bits: easy to type again
}

// Reads a file that a flag names; what is wrong with it is wrong with the flag, not the model.
template <class Read>
auto read_flag_file(const std::string& flag, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    const bool of_file = error.code() == Code::kNotFound || error.code() == Code::kCorruptFile ||
                         error.code() == Code::kUnsupported;
    throw Error(of_file ? Code::kInvalidArgument : error.code(), flag + ": " + error.what());
  }
}

// The initial noise of --latents: tensor "latents", [z, frames, h, w] or with a batch of 1.
Tensor read_latents(const fs::path& path) {
  const auto file = checkpoint::Checkpoint::open_file(path);
  const auto found = file.tensors().find("latents");
  if (found == file.tensors().end()) {
    throw Error(Code::kCorruptFile, path.string() + ": no tensor named 'latents'");
  }
  Tensor latents = to_f32(found->second.view);
  const Shape& shape = latents.shape();
  if (shape.rank() == 5 && shape[0] == 1) latents.reshape(Shape(shape.dims().subspan(1)));
  if (latents.shape().rank() != 4) {
    throw Error(Code::kCorruptFile, path.string() +
                                        ": tensor latents: expected shape "
                                        "[z, frames, height, width], got " +
                                        shape.to_string());
  }
  if (!pipeline::all_finite(latents)) {
    throw Error(Code::kCorruptFile, path.string() + ": tensor latents holds NaN or infinity");
  }
  return latents;
}

void write_latents(const fs::path& path, const Tensor& latents, const std::string& recipe) {
  const checkpoint::NamedTensor tensor{.name = "latents", .view = latents.view()};
  checkpoint::write_safetensors(path, std::span(&tensor, 1), {{"recipe", recipe}});
}

// sd-cli's --cfg-scale means the low-noise expert where there are two, as Wan's own tuple does.
void apply_cfg_scale(const GenerateOptions& options, checkpoint::WanVariant variant,
                     GenerateRequest& request, Progress& progress) {
  if (!options.cfg_scale) return;
  const bool two_experts = variant != checkpoint::WanVariant::kTI2V;
  std::optional<double>& target = two_experts ? request.guidance_scale_2 : request.guidance_scale;
  if (target) {
    throw Error(Code::kInvalidArgument,
                fmt::format("--cfg-scale means {} for this model, which is given too",
                            two_experts ? "--guidance-scale-2" : "--guidance-scale"));
  }
  progress.line(fmt::format("--cfg-scale {} taken as {}", *options.cfg_scale,
                            two_experts ? "--guidance-scale-2 (low noise)" : "--guidance-scale"));
  target = options.cfg_scale;
}

GenerateRequest make_request(const GenerateOptions& options) {
  GenerateRequest request;
  request.prompt = read_prompt(options.prompt);
  request.negative_prompt = options.negative_prompt;
  const auto read_picture = [](const std::string& flag, const std::string& path) {
    return read_flag_file(flag, [&] { return media::read_image(path); });
  };
  if (!options.image_path.empty()) {
    request.image = read_picture("--image-path", options.image_path);
  }
  if (!options.last_image_path.empty()) {
    request.last_image = read_picture("--last-image-path", options.last_image_path);
  }
  request.width = options.width;
  request.height = options.height;
  request.num_frames = options.num_frames;
  request.fps = options.fps;
  request.num_inference_steps = options.num_inference_steps;
  request.guidance_scale = options.guidance_scale;
  request.guidance_scale_2 = options.guidance_scale_2;
  request.flow_shift = options.flow_shift;
  request.boundary_ratio = options.boundary_ratio;
  request.sigma_grid = pipeline::parse_sigma_grid(options.sigma_grid);
  request.seed = choose_seed(options.seed);
  if (!options.latents_path.empty()) {
    request.initial_noise =
        read_flag_file("--latents", [&] { return read_latents(options.latents_path); });
  }
  request.vae_tiling = options.vae_tiling;
  return request;
}

std::string describe(const WanPipeline& model, const pipeline::ResolvedRequest& request) {
  return fmt::format("{} {}x{}, {} frames at {} fps, {} steps, seed {}, quantization {}",
                     checkpoint::variant_name(model.variant()), request.width, request.height,
                     request.num_frames, request.fps, request.num_inference_steps, request.seed,
                     model.options().quantization.scheme);
}

// One line a user can act on: what was quantized, how much memory it took.
std::string summarize(const pipeline::RunReport& report) {
  int64_t quantized = 0, linears = 0, before = 0, after = 0;
  for (const pipeline::ComponentReport& component : report.components) {
    for (const pipeline::LayerReport& layer : component.layers) {
      ++linears;
      quantized += layer.scheme == "none" ? 0 : 1;
    }
    if (component.layers.empty()) continue;
    before += component.checkpoint_bytes;
    after += component.weight_bytes;
  }
  constexpr double kMiB = 1 << 20;
  return fmt::format(
      "{} of {} linear layers quantized; transformer weights {:.1f} MiB -> {:.1f} MiB; "
      "peak memory {:.0f} MiB",
      quantized, linears, static_cast<double>(before) / kMiB, static_cast<double>(after) / kMiB,
      static_cast<double>(report.peak_rss_bytes) / kMiB);
}

// File names need not be UTF-8; JSON must be.
std::string to_text(const nlohmann::ordered_json& json, int indent = -1) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
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
  std::cout << to_text(result, 2) << "\n" << std::flush;
}

void generate(const GenerateOptions& options, const CancellationToken& cancellation) {
  const ProgressTerminal terminal = inspect_stderr();
  Progress progress(parse_progress_style(options.progress, terminal), terminal);
  if (options.threads > 0) set_num_threads(options.threads);
  for (const auto& [op, row] : options.forced_kernels) kernels::check_row_runs(op, row);

  const WanPipeline model({.model_directory = resolve_model_path(options),
                           .quantization = options.quantization,
                           .forced_kernels = options.forced_kernels});
  GenerateRequest request = make_request(options);
  apply_cfg_scale(options, model.variant(), request, progress);
  const pipeline::ResolvedRequest resolved = model.resolve(request);
  const OutputTarget target =
      parse_output_target(output_path(options, resolved), options.output_format);
  check_side_outputs(options, target);
  progress.line(describe(model, resolved));

  const GenerateResult result = model.generate(
      request, {.progress = [&](std::string_view phase, int64_t done,
                                int64_t total) { progress.update(phase, done, total); },
                .notice = [&](const std::string& line) { progress.line("note: " + line); },
                .on_step = {},
                .cancellation = &cancellation});

  cancellation.throw_if_cancelled();
  const std::string recipe = to_text(pipeline::recipe_json(model, request, resolved));
  auto report = pipeline::report_json(model, request, result);
  progress.update("write video", 0, 1);
  write_video(target, result.video, static_cast<double>(resolved.fps),
              {{"title", resolved.prompt}, {"comment", recipe}});
  progress.update("write video", 1, 1);
  if (!options.save_latents_path.empty()) {
    write_latents(options.save_latents_path, result.latents, recipe);
  }
  report["output"] = target.path;
  if (!options.report_path.empty()) {
    write_file_atomically(options.report_path, to_text(report, 2) + "\n");
  }
  progress.finish();
  progress.line(summarize(result.report));
  print_result(options, target.path, report);
}

}  // namespace

Command add_generate(CLI::App& app, const CancellationToken& cancellation) {
  auto options = std::make_shared<GenerateOptions>();
  add_generate_options(app, *options);
  return [options, &cancellation] { generate(*options, cancellation); };
}

}  // namespace mxvideo::cli
