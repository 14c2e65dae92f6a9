// mxvideo evaluate: generates held-out prompts under several schemes and scores what the videos
// show.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "cli/commands/commands.h"
#include "cli/flags/environment.h"
#include "cli/flags/generate_request.h"
#include "cli/flags/generation_flags.h"
#include "cli/json_text.h"
#include "cli/output_target.h"
#include "cli/progress.h"
#include "cli/threads.h"
#include "evaluation/evaluation.h"
#include "evaluation/prompt_set.h"
#include "evaluation/scheme_variant.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using evaluation::EvaluationRequest;
using evaluation::PromptSet;
using evaluation::SchemeVariant;
using pipeline::Engine;

struct EvaluateOptions {
  GenerateOptions generate;  // model, frames, sampling, run, --json
  std::string schemes = "none,mxfp8";
  std::string prompts_path;     // empty: evaluation.json of the model
  std::vector<uint64_t> seeds;  // empty: 0 to num_seeds - 1
  int64_t num_seeds = 2;
  int64_t limit = 0;  // 0: all prompts
  int64_t resident_bytes = 0;
  std::string save_videos, output;
};

struct SchemeRun {
  SchemeVariant variant;
  std::unique_ptr<Engine> model;
};

std::vector<uint64_t> parse_seeds(const std::string& text) {
  std::vector<uint64_t> seeds;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    uint64_t seed = 0;
    const char* last = text.data() + end;
    const auto parsed = std::from_chars(text.data() + begin, last, seed);
    const bool repeated = std::ranges::find(seeds, seed) != seeds.end();
    if (parsed.ec != std::errc() || parsed.ptr != last || repeated) {
      throw CLI::ValidationError(
          "--seeds", "expected different whole numbers, separated by commas, got '" + text + "'");
    }
    seeds.push_back(seed);
    begin = end + 1;
  }
  return seeds;
}

void add_evaluate_options(CLI::App& app, EvaluateOptions& o) {
  constexpr const char* kGroup = "Evaluation";
  add_model_flags(app, o.generate);
  app.add_option("--quantization,--schemes", o.schemes,
                 "What to score: schemes, comma-separated, each optionally with a rule of the "
                 "block scales and with +int8-attention, such as none, mxfp8:floor or "
                 "mxfp8+int8-attention")
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--prompts", o.prompts_path,
                 "JSON file of prompts and what they mean (default: evaluation.json of the model)")
      ->check(is_not_empty())
      ->group(kGroup);
  auto* seeds = app.add_option_function<std::string>(
                       "--seeds", [&o](const std::string& text) { o.seeds = parse_seeds(text); },
                       "Seeds for every prompt, separated by commas")
                    ->group(kGroup);
  app.add_option("--num-seeds", o.num_seeds, "Seeds for every prompt, as a number from 0 on")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str()
      ->excludes(seeds)
      ->group(kGroup);
  app.add_option("--limit", o.limit, "Take only the first prompts of the file, this many")
      ->check(CLI::Range(1, 1000000))
      ->group(kGroup);
  app.add_option_function<std::string>(
         "--resident-memory",
         [&o](const std::string& text) {
           o.resident_bytes = size_of_flag("--resident-memory", text);
         },
         "Of each scheme, keep weights loaded from one video to the next, up to this many bytes, "
         "such as 500MB or 12GiB (default: none)")
      ->group(kGroup);
  app.add_option("--save-videos", o.save_videos,
                 "Write every video to DIR/SCHEME/PROMPT-SEED.webp; DIR must not exist")
      ->check(is_not_empty())
      ->group(kOutputGroup);
  app.add_option("-o,--output", o.output, "Write the result as JSON to this file")
      ->check(ends_with(".json"))
      ->group(kOutputGroup);
  app.add_flag("--json", o.generate.json, "Print the result as JSON")->group(kOutputGroup);
  add_overwrite_flag(app, o.generate.overwrite);
  add_section_flags(app, pipeline::FieldSection::kNegativePrompt, o.generate);
  add_frame_flags(app, o.generate);
  add_sampling_flags(app, o.generate);
  add_run_flags(app, o.generate);
}

PromptSet read_prompts(const EvaluateOptions& options, const fs::path& model) {
  const fs::path path =
      options.prompts_path.empty() ? model / "evaluation.json" : fs::path(options.prompts_path);
  if (options.prompts_path.empty() && !fs::exists(path)) {
    throw Error(Code::kInvalidArgument,
                path.string() + ": the model brings no prompts; --prompts names a file");
  }
  PromptSet set = evaluation::read_prompt_set(path);
  if (options.limit > 0 && static_cast<size_t>(options.limit) < set.prompts.size()) {
    set.prompts.resize(static_cast<size_t>(options.limit));
  }
  return set;
}

std::vector<SchemeRun> open_models(const EvaluateOptions& options) {
  std::vector<SchemeRun> runs;
  for (SchemeVariant& variant : evaluation::parse_scheme_variants(options.schemes)) {
    pipeline::PipelineOptions model = pipeline_options(options.generate);
    variant.apply(model);
    model.resident_bytes = options.resident_bytes;
    runs.push_back(
        {.variant = std::move(variant), .model = std::make_unique<Engine>(std::move(model))});
  }
  return runs;
}

EvaluationRequest make_evaluation_request(const EvaluateOptions& options, PromptSet prompts,
                                          const Engine& model, Progress& progress) {
  GenerateOptions generate = options.generate;
  generate.seed = 0;
  EvaluationRequest request{
      .prompts = std::move(prompts), .seeds = options.seeds, .base = make_request(generate)};
  request.base.prompt = request.prompts.prompts.front().prompt;  // for what is checked first
  apply_cfg_scale(generate, model.variant(), request.base, progress);
  if (request.seeds.empty()) {
    request.seeds.resize(static_cast<size_t>(options.num_seeds));
    std::iota(request.seeds.begin(), request.seeds.end(), uint64_t{0});
  }
  return request;
}

Json settings_json(const pipeline::ResolvedRequest& resolved, const EvaluationRequest& request) {
  return {{"width", resolved.width},
          {"height", resolved.height},
          {"num_frames", resolved.num_frames},
          {"fps", resolved.fps},
          {"num_inference_steps", resolved.num_inference_steps},
          {"guidance_scale", resolved.guidance_scale},
          {"guidance_scale_2", resolved.guidance_scale_2},
          {"flow_shift", resolved.flow_shift},
          {"negative_prompt", resolved.negative_prompt},
          {"seeds", request.seeds}};
}

// Where the videos of a scheme go; a colon has no place in a file name.
fs::path videos_of(const std::string& directory, std::string scheme) {
  std::ranges::replace(scheme, ':', '-');
  return fs::path(directory) / scheme;
}

// Opens --output; nullptr without.
std::unique_ptr<AtomicFile> open_output(const EvaluateOptions& options, const fs::path& model) {
  OutputPaths paths(options.generate.overwrite);
  paths.add_input(model);
  paths.add_input(options.prompts_path);
  paths.add_output(options.output);
  if (options.save_videos.empty()) return paths.open(options.output);
  if (fs::exists(fs::symlink_status(options.save_videos))) {
    throw Error(Code::kIo, options.save_videos + ": already there; videos go to a new directory");
  }
  fs::path directory = options.save_videos;
  if (!directory.has_filename()) directory = directory.parent_path();
  check_writable(directory);
  paths.add_directory(options.save_videos);
  return paths.open(options.output);
}

std::string answer_text(const Json& content) {
  std::string text;
  for (const auto& [part, value] : content.items()) {
    text += (text.empty() ? "" : ", ") +
            (value.is_null() ? "no clear " + part : value.get<std::string>());
  }
  return text;
}

// To the first scheme's videos.
std::string median_psnr(const Json& result) {
  if (!result.contains("video_psnr_db")) return "";
  const Json& median = result["video_psnr_db"]["median"];
  return median.is_null() ? "same" : fmt::format("{:.2f}", median.get<double>());
}

// A line of the table: what it holds, and each scheme's figure.
struct Figure {
  std::string_view name;
  std::function<std::string(const Json& result)> of;
};

std::vector<Figure> figures() {
  const auto number = [](const char* key, const char* format) {
    return [key, format](const Json& result) {
      return fmt::format(fmt::runtime(format), result[key].get<double>());
    };
  };
  return {{"score (%)", number("score", "{:.2f}")},
          {"colour (%)", number("colour", "{:.2f}")},
          {"shape (%)", number("shape", "{:.2f}")},
          {"position (%)", number("position", "{:.2f}")},
          {"motion (%)", number("motion", "{:.2f}")},
          {"background (%)", number("background", "{:.2f}")},
          {"constant (%)", number("background_constancy", "{:.2f}")},
          {"flicker", number("flicker", "{:.3f}")},
          {"PSNR (dB)", median_psnr},
          {"videos", number("videos", "{:.0f}")},
          {"seconds", number("seconds", "{:.1f}")}};
}

// A column for each scheme, as many beside each other as fit into 100.
void print_table(const Json& schemes) {
  constexpr size_t kColumns = 100, kNames = 15, kLeast = 10, kGap = 2;
  size_t width = kLeast;
  for (const auto& [name, result] : schemes.items()) width = std::max(width, name.size());
  width += kGap;
  const size_t at_once = std::max<size_t>(1, (kColumns - kNames) / width);
  for (auto first = schemes.begin(); first != schemes.end();) {
    auto last = first;
    std::cout << std::string(kNames, ' ');
    for (size_t i = 0; i < at_once && last != schemes.end(); ++i, ++last) {
      std::cout << fmt::format("{:>{}}", last.key(), width);
    }
    std::cout << "\n";
    for (const Figure& figure : figures()) {
      std::cout << fmt::format("{:<{}}", figure.name, kNames);
      for (auto scheme = first; scheme != last; ++scheme) {
        std::cout << fmt::format("{:>{}}", figure.of(*scheme), width);
      }
      std::cout << "\n";
    }
    first = last;
  }
  for (const auto& [name, result] : schemes.items()) {
    for (const Json& failure : result["failures"]) {
      std::cout << fmt::format("{}: '{}', seed {}: {}\n", name,
                               printable(failure["prompt"].get<std::string>(), 4096),
                               failure["seed"].get<uint64_t>(), answer_text(failure["measured"]));
    }
  }
}

// The results by the schemes' names; writes videos where that is asked for.
Json run_schemes(const EvaluateOptions& options, const std::vector<SchemeRun>& runs,
                 EvaluationRequest& request, double fps, Progress& progress,
                 const CancellationToken& cancellation) {
  std::vector<const Engine*> schemes;
  std::vector<fs::path> videos;
  for (const SchemeRun& run : runs) {
    schemes.push_back(run.model.get());
    videos.push_back(videos_of(options.save_videos, run.variant.name));
  }
  evaluation::EvaluationHooks hooks{
      .progress = [&](int64_t done, int64_t total) { progress.update("evaluate", done, total); },
      .notice = [&](const std::string& line) { progress.line("note: " + line); },
      .on_video = {},
      .cancellation = &cancellation};
  if (!options.save_videos.empty()) {
    for (const fs::path& directory : videos) fs::create_directories(directory);
    hooks.on_video = [&](size_t scheme, size_t prompt, uint64_t seed,
                         const media::RgbVideo& video) {
      media::write_webp(videos[scheme] / fmt::format("{:03}-{}.webp", prompt, seed), video,
                        {.fps = fps});
    };
  }
  const auto results = evaluation::evaluate_schemes(schemes, request, hooks);
  Json by_name = Json::object();
  for (size_t i = 0; i < runs.size(); ++i) {
    by_name[runs[i].variant.name] = evaluation::evaluation_json(results[i], request.prompts);
  }
  return by_name;
}

void evaluate(const EvaluateOptions& options, const CancellationToken& cancellation) {
  Progress progress(options.generate.progress);
  apply_run_flags(options.generate);
  use_threads(options.generate.threads, progress);

  const std::vector<SchemeRun> runs = open_models(options);
  const Engine& model = *runs.front().model;
  EvaluationRequest request = make_evaluation_request(
      options, read_prompts(options, model.options().model_directory), model, progress);
  const pipeline::ResolvedRequest resolved = model.resolve(request.base);
  const std::unique_ptr<AtomicFile> output = open_output(options, model.options().model_directory);
  progress.line(fmt::format(
      "{}, {}, {}; {} {}x{}, {}, {}", count_of(std::ssize(request.prompts.prompts), "prompt"),
      count_of(std::ssize(request.seeds), "seed"), count_of(std::ssize(runs), "scheme"),
      checkpoint::variant_name(model.variant()), resolved.width, resolved.height,
      count_of(resolved.num_frames, "frame"), count_of(resolved.num_inference_steps, "step")));

  Json result = {{"model", options.generate.model_path},
                 {"settings", settings_json(resolved, request)},
                 {"schemes", Json::object()}};
  try {
    result["schemes"] = run_schemes(options, runs, request, static_cast<double>(resolved.fps),
                                    progress, cancellation);
  } catch (const Error& error) {
    if (error.code() != Code::kCancelled || options.save_videos.empty()) throw;
    throw Error(Code::kCancelled, "stopped; finished videos are in " + options.save_videos);
  }
  progress.finish();
  progress.line(progress.total_time());
  if (output != nullptr) {
    output->write(to_text(result) + "\n");
    output->commit();
  }
  if (options.generate.json) {
    std::cout << to_text(result) << "\n";
  } else {
    print_table(result["schemes"]);
  }
  std::cout << std::flush;
}

}  // namespace

Command add_evaluate(CLI::App& app, const CancellationToken& cancellation) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* parser = app.add_subcommand(
      "evaluate", "Score how well a model follows its prompts, with and without quantization");
  add_evaluate_options(*parser, *options);
  return [options, &cancellation] { evaluate(*options, cancellation); };
}

}  // namespace mxvideo::cli
