#include "cli/run_outputs.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file/reserved_name.h"
#include "cli/json_text.h"
#include "cli/latents_file.h"

namespace mxvideo::cli {
namespace {

constexpr const char* kStateSuffix = ".state.safetensors";

OutputPaths inputs_of(const GenerateOptions& options, const pipeline::Engine& model) {
  OutputPaths paths(options.overwrite);
  const pipeline::PipelineOptions& source = model.options();
  paths.add_input(source.model_directory);
  for (const auto* components : {&source.component_paths, &source.weights_paths}) {
    for (const auto& [component, path] : *components) paths.add_input(path);
  }
  for (const std::string& path :
       {options.image_path, options.last_image_path, options.latents_path}) {
    paths.add_input(path);
  }
  return paths;
}

}  // namespace

RunOutputs::RunOutputs(const GenerateOptions& options, const pipeline::Engine& model,
                       const pipeline::ResolvedRequest& request)
    : options_(options),
      paths_(inputs_of(options, model)),
      chosen_(options.output.empty() && options.output_file_name.empty()),
      target_(parse_output_target(output_path(options, request), options.output_format, chosen_)),
      size_{.height = request.height, .width = request.width} {
  if (chosen_ && target_.format == OutputFormat::kPngFrames) {
    paths_.add_directory(target_.path);
  } else if (chosen_) {
    paths_.add_chosen_output(target_.path);
  } else if (target_.path != "-") {
    paths_.add_output(target_.path);
  }
  if (!chosen_ && !options.resume && !options.overwrite && name_exists(state_path())) {
    throw Error(Code::kInvalidArgument,
                state_path() +
                    ": the state of an interrupted run; --resume goes on with it, "
                    "--overwrite begins anew");
  }
  choose_encoding(target_, options.encoding, size_);
  paths_.add_output(options.report_path);
  paths_.add_output(options.save_latents_path);
  paths_.add_directory(options.save_quantized);
  if (options.json && target_.path == "-") {
    throw Error(Code::kInvalidArgument,
                "--json and --output - both want standard output; --report writes JSON to a file");
  }
}

void RunOutputs::open() {
  video_.emplace(target_, paths_.existing(), chosen_);
  report_ = paths_.open(options_.report_path);
  latents_ = paths_.open(options_.save_latents_path);
}

void RunOutputs::check_space(const audit::DiskPlan& disk, const ResourceCheck& check) const {
  constexpr int64_t kMostReportBytes = 256 << 10;
  std::vector<ResourceCheck::Need> needs = {
      {options_.save_latents_path, disk.latents},
      {options_.report_path, kMostReportBytes},
      {options_.text_cache.empty() ? "" : options_.text_cache + "/embedding", disk.text_cache}};
  if (target_.path != "-") {
    needs.push_back({target_.path, disk.video_at_most});
    needs.push_back({state_path(), disk.state});
  }
  check.space(needs);
}

std::string RunOutputs::prepare(const pipeline::ResolvedRequest& request,
                                const std::string& recipe) {
  recipe_ = recipe;
  const std::string notice = video_->prepare(size_, static_cast<double>(request.fps),
                                             {{"title", request.prompt}, {"comment", recipe}});
  const bool lost = target_.format == OutputFormat::kY4m && options_.report_path.empty();
  if (!notice.empty() || !lost) return notice;
  return "y4m has no room for the recipe of the video; --report writes it";
}

std::string RunOutputs::state_path() const {
  const std::string& path = video_ ? video_->path() : target_.path;
  return path == "-" ? "" : path + kStateSuffix;
}

std::string RunOutputs::state_path_of(const GenerateOptions& options) {
  const bool named = !options.output.empty() || !options.output_file_name.empty();
  const std::string path = named ? output_path(options, {}) : "-";
  if (path == "-") {
    throw Error(Code::kInvalidArgument,
                "--resume needs --output with the file of the interrupted run, whose state lies "
                "beside it");
  }
  return parse_output_target(path, options.output_format).path + kStateSuffix;
}

void RunOutputs::save_latents(const Tensor& latents) {
  has_latents_ = true;
  if (latents_ == nullptr) return;
  write_latents(*latents_, latents, recipe_);
  latents_path_ = latents_->path().string();
}

void RunOutputs::commit_video() {
  video_->commit();
  video_path_ = video_->path();
}

void RunOutputs::write_report(nlohmann::ordered_json& report) {
  report["output"] =
      video_path_.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(video_path_);
  report["encoding"] = encoding_json(target_, size_);
  if (report_ == nullptr) return;
  report_->write(to_text(report) + "\n");
  report_->commit();
}

Error RunOutputs::explain(const Error& error) const {
  if (latents_path_.empty() || !video_path_.empty()) return error;
  const bool cancelled = error.code() == Code::kCancelled;
  return {error.code(), (cancelled ? std::string("stopped") : std::string(error.what())) +
                            "; the latents are in " + latents_path_ +
                            ", of which mxvideo decode makes the video"};
}

}  // namespace mxvideo::cli
