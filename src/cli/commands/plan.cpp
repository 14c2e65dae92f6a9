// mxvideo plan: what a generation needs, and whether this machine has it.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>

#include "audit/fit.h"
#include "base/error.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "cli/commands/commands.h"
#include "cli/flags/environment.h"
#include "cli/flags/generate_request.h"
#include "cli/flags/generation_flags.h"
#include "cli/json_text.h"
#include "cli/output_target.h"
#include "cli/resources.h"
#include "cli/spelling.h"
#include "device/ascend/ascend_device.h"

namespace mxvideo::cli {
namespace {

using audit::PlanReport;
using pipeline::MemoryPart;
using pipeline::MemoryPlan;

// The parts that make most of a stage, largest first.
std::string dominant_parts(const pipeline::StagePlan& stage) {
  std::vector<MemoryPart> parts = stage.parts;
  std::ranges::stable_sort(parts, std::ranges::greater(), &MemoryPart::bytes);
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(3, parts.size()); ++i) {
    text += (i > 0 ? ", " : "") + parts[i].name + " " + format_bytes(parts[i].bytes);
  }
  return text;
}

void print_kernels(const MemoryPlan& plan) {
  std::cout << "\nkernels\n";
  for (const pipeline::LayerKernelsPlan& layers : plan.kernels) {
    std::string rows;
    for (const auto& [op, row] : layers.kernels) rows += fmt::format("  {}={}", op, row);
    std::cout << fmt::format("  {:<14} {:<20}{}\n", layers.component, layers.layers, rows);
  }
}

void print_components(const MemoryPlan& plan) {
  std::cout << "\nweights                stored      in memory\n";
  for (const pipeline::ComponentPlan& component : plan.components) {
    std::cout << fmt::format("  {:<14} {:>12}   {:>12}\n", component.name,
                             format_bytes(component.checkpoint_bytes),
                             format_bytes(component.weight_bytes));
    for (const pipeline::SchemeCount& count : component.schemes) {
      std::cout << fmt::format("    {} x {}{}\n", count.layers, count.scheme,
                               count.reason.empty() ? "" : " (" + count.reason + ")");
    }
  }
}

void print_time(const PlanReport& report) {
  if (!report.time) {
    std::cout << "\nhow long it takes is not estimated, as it does not fit\n";
    return;
  }
  std::cout << "\ntime\n";
  std::vector<estimate::PhaseTime> lines = report.time->estimate.phases;
  lines.push_back(report.time->estimate.whole());
  for (const estimate::PhaseTime& time : lines) {
    std::cout << fmt::format("  {:<18} {}\n", time.name, estimate::about(time));
  }
  std::cout << "  rates: " << report.time->rates << "\n";
  for (const std::string& note : report.time->notes) std::cout << "  note: " << note << "\n";
}

void print_table(const PlanReport& report) {
  const MemoryPlan& plan = report.memory;
  std::cout << fmt::format("{}x{}, {}, {}, {}, VAE tiles {}\n\n", plan.request.width,
                           plan.request.height, count_of(plan.request.num_frames, "frame"),
                           count_of(plan.request.num_inference_steps, "step"),
                           count_of(plan.transformer_tokens, "transformer token"),
                           plan.vae_tiling ? "on" : "off")
            << fmt::format("{:<20} {:>14}   largest parts\n", "phase", "memory");
  for (const pipeline::StagePlan& stage : plan.stages) {
    std::cout << fmt::format("{:<20} {:>14}   {}\n", stage.name, format_bytes(stage.bytes()),
                             dominant_parts(stage));
  }
  std::cout << fmt::format("\npeak {}, available {} ({}): {}\n", format_bytes(plan.peak_bytes()),
                           format_bytes(report.available.bytes + plan.process_bytes),
                           report.available.source, report.fits ? "fits" : "does not fit");
  for (const std::string& cure : report.cures)
    std::cout << "would fit with " << spelled(cure) << "\n";
  for (const auto& [prompt, state] : plan.text_cache.prompts) {
    std::cout << fmt::format("text cache: {} of the {}\n", state, prompt);
  }
  print_time(report);
  print_components(plan);
  print_kernels(plan);
  std::cout << fmt::format("\ndisk: video about {}", format_bytes(report.disk.video));
  if (report.disk.latents > 0) {
    std::cout << fmt::format(", latents {}", format_bytes(report.disk.latents));
  }
  std::cout << "\n";
  for (const std::string& notice : plan.notices) {
    std::cout << "note: " << spelled_line(notice, 4096) << "\n";
  }
}

audit::VideoFile video_file(const GenerateOptions& options) {
  // What is lossless or nearly so is estimated by PNG.
  if (options.encoding.codec == "ffv1" || options.encoding.codec == "prores_ks") {
    return audit::VideoFile::kPng;
  }
  const std::string& name = options.output.empty() ? options.output_file_name : options.output;
  switch (output_format_of(name.empty() ? "video.mp4" : name, options.output_format)) {
    case OutputFormat::kWebp:
      return audit::VideoFile::kWebp;
    case OutputFormat::kY4m:
      return audit::VideoFile::kY4m;
    case OutputFormat::kPngFrames:
      return audit::VideoFile::kPng;
    default:
      return audit::VideoFile::kMp4;
  }
}

// I2V models need an image; of one that is not given only the size matters, and that is the
// request's.
void assume_image(const GenerateOptions& options, checkpoint::WanVariant variant,
                  pipeline::GenerateRequest& request) {
  if (variant != checkpoint::WanVariant::kI2V || request.image) return;
  request.image = media::RgbImage{
      .size = {.height = options.height.value_or(720), .width = options.width.value_or(1280)},
      .pixels = {}};
}

void plan(const GenerateOptions& options) {
  apply_run_flags(options);
  Progress progress(options.progress);
  pipeline::GenerateRequest request = make_request(options);
  const pipeline::Engine model(pipeline_options(options));
  apply_cfg_scale(options, model.variant(), request, progress);
  assume_image(options, model.variant(), request);
  pipeline::Run run(model, request);
  print_plan(options, run, request);
}

}  // namespace

namespace {

// Where the run computes.
AvailableMemory memory_of(Device& device) {
  if (device.kind() != DeviceKind::kAscend) return available_memory();
  return {.bytes = static_cast<ascend::AscendDevice&>(device).memory_info().free,
          .source = "free on the NPU"};
}

}  // namespace

audit::PlanReport plan_run(const GenerateOptions& options, pipeline::Run& run,
                           pipeline::GenerateRequest& request) {
  return audit::plan_generation(
      run, {.video = video_file(options), .save_latents = !options.save_latents_path.empty()},
      request, memory_of(run.context.device()));
}

void print_plan(const GenerateOptions& options, pipeline::Run& run,
                pipeline::GenerateRequest& request) {
  PlanReport report = plan_run(options, run, request);
  if (report.fits) {
    report.time =
        estimate::tell_time(report.memory.work, run.context.device(), {.rates_file = rates_file()});
  }
  if (options.json) {
    std::cout << to_text(audit::plan_json(report)) << "\n";
  } else {
    print_table(report);
  }
  std::cout << std::flush;
  if (!report.fits) throw Error(Code::kOutOfMemory, memory_shortage(report));
}

Command add_plan(CLI::App& app) {
  auto options = std::make_shared<GenerateOptions>();
  add_plan_options(app, *options);
  return [options] { plan(*options); };
}

}  // namespace mxvideo::cli
