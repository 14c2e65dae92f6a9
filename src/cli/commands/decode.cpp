// mxvideo decode: saved latents -> LatentDecoder -> the video of the run that saved them.
#include "pipeline/stages/decode.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "audit/fit.h"
#include "base/error.h"
#include "base/text/format.h"
#include "base/text/json.h"
#include "checkpoint/wan/generation_defaults.h"
#include "cli/commands/commands.h"
#include "cli/flags/environment.h"
#include "cli/flags/generation_flags.h"
#include "cli/flags/validators.h"
#include "cli/latents_file.h"
#include "cli/output_target.h"
#include "cli/progress.h"
#include "cli/resources.h"
#include "cli/threads.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;
using pipeline::VaeTilingMode;

struct DecodeFlags {
  std::string latents, model_path, revision, output, output_format;
  std::optional<int64_t> fps;
  std::string tiling = "auto";
  int threads = 0;
  ProgressFlags progress;
  bool overwrite = false, allow_overcommit = false;
};

// What the recipe of the latents says of their video.
struct SavedRun {
  std::optional<int64_t> fps;
  std::optional<bool> tiling;
  std::string prompt;
};

SavedRun read_recipe(const LatentsFile& file, const std::string& origin) {
  if (file.recipe.empty()) return {};
  const nlohmann::json json = parse_json(file.recipe, origin + ": recipe");
  const JsonFields fields(json, origin + ": recipe");
  SavedRun run;
  if (fields.has("fps")) run.fps = fields.integer("fps", 1, 240);
  if (fields.has("vae_tiling")) run.tiling = fields.boolean_or("vae_tiling", false);
  run.prompt = fields.string_or("prompt", "");
  return run;
}

// The VAE of a model directory, or a directory that is one.
fs::path find_vae(const fs::path& model) {
  return fs::exists(model / "vae" / "config.json") ? model / "vae" : model;
}

VaeTilingMode tiling_mode(const DecodeFlags& flags, const SavedRun& run) {
  const bool saved = flags.tiling == "auto" && run.tiling.has_value();
  if (saved) return *run.tiling ? VaeTilingMode::kOn : VaeTilingMode::kOff;
  return flags.tiling == "on"    ? VaeTilingMode::kOn
         : flags.tiling == "off" ? VaeTilingMode::kOff
                                 : VaeTilingMode::kAuto;
}

void decode(const DecodeFlags& flags, const CancellationToken& cancellation) {
  Progress progress(flags.progress);
  use_threads(flags.threads, progress);
  const LatentsFile file = read_latents(flags.latents);
  const Shape& shape = file.latents.shape();
  const SavedRun run = read_recipe(file, flags.latents);
  const std::optional<int64_t> fps = flags.fps ? flags.fps : run.fps;
  if (!fps) {
    throw Error(Code::kInvalidArgument,
                flags.latents + ": says nothing of its run; --fps gives the frames per second");
  }
  if (!file.denoised && why_no_noise(file.latents).empty()) {
    progress.line("note: " + flags.latents + " looks like noise, not like the end of a run");
  }
  const fs::path vae = find_vae(find_model(flags.model_path, flags.revision));
  const pipeline::LatentDecoder decoder({.vae = vae, .tiling = tiling_mode(flags, run)});
  decoder.check_latents(shape, flags.latents);

  OutputPaths paths(flags.overwrite);
  paths.add_input(flags.latents);
  paths.add_input(vae);
  const OutputTarget target = parse_output_target(flags.output, flags.output_format);
  if (target.path != "-") paths.add_output(target.path);
  const Shape frames = decoder.video_shape(shape);
  const media::ImageSize size{.height = frames[1], .width = frames[2]};
  progress.line(fmt::format("{}x{}, {} at {} fps, VAE {}", size.width, size.height,
                            count_of(frames[0], "frame"), *fps, vae.string()));
  VideoOutput video(target, paths.existing(), /*chosen=*/false);
  const ResourceCheck check{.allow_overcommit = flags.allow_overcommit, .progress = &progress};
  check.memory(decoder.planned_bytes(shape));
  const std::string notice = video.prepare(size, static_cast<double>(*fps),
                                           {{"title", run.prompt}, {"comment", file.recipe}});
  if (!notice.empty()) progress.line("note: " + notice);

  decoder.decode(file.latents,
                 {.progress = [&](std::string_view phase, int64_t done,
                                  int64_t total) { progress.update(phase, done, total); },
                  .notice = [&](const std::string& line) { progress.line("note: " + line); },
                  .cancellation = &cancellation,
                  .on_frames = [&](const media::FramePart& part) { video.add(part); }});
  cancellation.throw_if_cancelled();
  progress.update("write video", 0, 1);
  video.commit();
  progress.update("write video", 1, 1);
  progress.finish();
  progress.line(progress.total_time());
  if (video.path() != "-") std::cout << video.path() << "\n" << std::flush;
}

void add_flags(CLI::App& app, DecodeFlags& flags) {
  app.add_option("latents", flags.latents, "File that generate --save-latents wrote")
      ->required()
      ->check(is_not_empty());
  app.add_option("-m,--model-path,--model", flags.model_path,
                 "Model directory or that of its VAE, or org/name[@revision] in the local caches")
      ->required()
      ->group("Model");
  app.add_option("--revision", flags.revision, "Revision of org/name (default main)")
      ->group("Model");
  app.add_option("-o,--output", flags.output,
                 "Video file (.mp4, .webp or .y4m), directory for PNG frames (trailing /), or - "
                 "for y4m on standard output")
      ->required()
      ->check(is_not_empty())
      ->group(kOutputGroup);
  app.add_option("--output-format", flags.output_format,
                 "mp4, webp, y4m or png (default: by --output)")
      ->transform(choice_of({"mp4", "webp", "y4m", "png"}))
      ->group(kOutputGroup);
  app.add_option("--fps", flags.fps, "Frames per second (default: that of the run)")
      ->check(CLI::Range(1, 240))
      ->group(kOutputGroup);
  add_overwrite_flag(app, flags.overwrite);
  app.add_option("--vae-tiling", flags.tiling,
                 "Decode frames in tiles: auto (as the run did), on or off")
      ->transform(choice_of({"auto", "on", "off"}))
      ->group(kRunGroup);
  app.add_option("--threads", flags.threads, "Threads (default: all of this machine)")
      ->check(CLI::Range(1, 4096))
      ->group(kRunGroup);
  app.add_flag("--allow-overcommit", flags.allow_overcommit,
               "Run although decoding needs more memory than there is")
      ->group(kRunGroup);
  add_progress_flags(app, flags.progress);
}

}  // namespace

Command add_decode(CLI::App& app, const CancellationToken& cancellation) {
  auto flags = std::make_shared<DecodeFlags>();
  CLI::App* parser =
      app.add_subcommand("decode", "Make the video from the latents that a run saved");
  add_flags(*parser, *flags);
  return [flags, &cancellation] { decode(*flags, cancellation); };
}

}  // namespace mxvideo::cli
