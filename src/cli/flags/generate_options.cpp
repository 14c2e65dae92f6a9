#include "cli/flags/generate_options.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cctype>
#include <ctime>

#include "base/error.h"
#include "cli/flags/environment.h"
#include "cli/flags/generation_flags.h"
#include "cli/output_target.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;
using pipeline::FieldSection;

void add_request_flags(CLI::App& app, GenerateOptions& o) {
  add_model_flags(app, o);
  for (const FieldSection section : {FieldSection::kQuantization, FieldSection::kPrompt,
                                     FieldSection::kNegativePrompt, FieldSection::kImage}) {
    add_section_flags(app, section, o);
  }
  add_frame_flags(app, o);
  add_sampling_flags(app, o);
  add_section_flags(app, FieldSection::kNoise, o);
}

void add_output_flags(CLI::App& app, GenerateOptions& o) {
  app.add_option(
         "-o,--output,--save_file", o.output,
         "Video file (.mp4, .mov, .mkv, .webm, .webp or .y4m), directory for PNG frames (trailing "
         "/), or - for y4m on standard output")
      ->check(is_not_empty())
      ->group(kOutputGroup);
  app.add_option("--output-path", o.output_directory, "Directory of the video")
      ->excludes(app.get_option("--output"))
      ->group(kOutputGroup);
  app.add_option("--output-file-name", o.output_file_name, "Name of the video in --output-path")
      ->excludes(app.get_option("--output"))
      ->group(kOutputGroup);
  app.add_option("--report", o.report_path, "Write a JSON report of the run to this file")
      ->group(kOutputGroup);
  add_overwrite_flag(app, o.overwrite);
  app.add_flag("--allow-overcommit", o.allow_overcommit,
               "Run although the plan needs more memory, or an output may need more space, than "
               "there is")
      ->group(kRunGroup);
}

// FFmpeg's names and numbers.
void add_encoding_flags(CLI::App& app, media::EncodingChoice& encoding) {
  app.add_option("--codec", encoding.codec,
                 "libx264 (default), libx264rgb, libx265, libvpx-vp9 (default of webm), prores_ks "
                 "(mov, mkv) or ffv1 (lossless, mkv)")
      ->group(kOutputGroup);
  app.add_option("--crf", encoding.crf,
                 "Rate factor: lower is better and larger (default 25, libx265 28, libvpx-vp9 31)")
      ->group(kOutputGroup);
  app.add_option("--preset", encoding.preset,
                 "Of libx264 and libx265, ultrafast to placebo (default fast)")
      ->group(kOutputGroup);
  app.add_option("--pix-fmt,--pix_fmt", encoding.pixel_format,
                 "Pixel format: yuv420p (default), yuv444p, yuv420p10le and others of the codec")
      ->group(kOutputGroup);
}

// What plan has too.
void add_format_flags(CLI::App& app, GenerateOptions& o) {
  app.add_option("--output-format", o.output_format,
                 "mp4, mov, mkv, webm, webp, y4m or png (default: by --output)")
      ->transform(choice_of(output_format_names()))
      ->group(kOutputGroup);
  app.add_option("--save-latents", o.save_latents_path,
                 "Write the denoised latents to this safetensors file")
      ->group(kOutputGroup);
  app.add_flag("--resume", o.resume,
               "Go on with the interrupted run of the same command, from the state beside --output")
      ->group(kOutputGroup);
  app.add_option("--checkpoint-seconds", o.checkpoint_seconds,
                 "Least time from one state of the run to the next; states go to "
                 "OUTPUT.state.safetensors, which the finished run removes; 0: one after each step")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str()
      ->group(kOutputGroup);
  app.add_option("--save-quantized", o.save_quantized,
                 "Write the quantized model to this directory first, as mxvideo quantize does, and "
                 "run it from there")
      ->group(kOutputGroup);
  app.add_flag("--json", o.json, "Print the result as JSON")->group(kOutputGroup);
}

// Readable and safe as a file name: letters, digits and '-' of the first 60 bytes.
std::string slug(const std::string& prompt) {
  std::string name;
  for (unsigned char c : prompt.substr(0, 60)) {
    if (std::isalnum(c)) {
      name += static_cast<char>(std::tolower(c));
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "video" : name;
}

std::string generated_name(const GenerateOptions& options,
                           const pipeline::ResolvedRequest& request) {
  const std::string extension =
      options.output_format == "png"
          ? "/"
          : "." + (options.output_format.empty() ? "mp4" : options.output_format);
  return fmt::format("{}_{:%Y%m%d-%H%M%S}_{}{}", slug(request.prompt),
                     fmt::localtime(std::time(nullptr)), request.seed, extension);
}

}  // namespace

CLI::App* add_generate_options(CLI::App& app, GenerateOptions& options) {
  CLI::App* generate = app.add_subcommand("generate", "Generate a video from a prompt");
  add_request_flags(*generate, options);
  generate->get_option("--prompt")->required();
  add_output_flags(*generate, options);
  add_encoding_flags(*generate, options.encoding);
  add_format_flags(*generate, options);
  add_run_flags(*generate, options);
  generate
      ->add_flag("--dry-run", options.dry_run,
                 "Write nothing: say what the run needs and whether it fits, as mxvideo plan does")
      ->group(kRunGroup);
  return generate;
}

CLI::App* add_plan_options(CLI::App& app, GenerateOptions& options) {
  CLI::App* plan = app.add_subcommand(
      "plan", "Say how much memory and disk a generation needs and whether it fits");
  add_request_flags(*plan, options);
  add_format_flags(*plan, options);
  add_run_flags(*plan, options);
  return plan;
}

std::string output_path(const GenerateOptions& options, const pipeline::ResolvedRequest& request) {
  if (!options.output.empty()) return options.output;
  const std::string name = options.output_file_name.empty() ? generated_name(options, request)
                                                            : options.output_file_name;
  return (fs::path(options.output_directory) / name).string();
}

}  // namespace mxvideo::cli
