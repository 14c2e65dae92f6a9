#include "pipeline/open_model.h"

#include <optional>
#include <set>

#include "base/error.h"
#include "checkpoint/transformer_checkpoint.h"
#include "checkpoint/wan/expert_files.h"
#include "checkpoint/wan/experts.h"
#include "pipeline/engine.h"

namespace mxvideo::pipeline {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;

std::set<std::string> replaced_components(const PipelineOptions& options) {
  std::set<std::string> replaced;
  for (const auto* paths : {&options.component_paths, &options.weights_paths}) {
    for (const auto& [component, path] : *paths) replaced.insert(component);
  }
  return replaced;
}

fs::path find_component(const std::string& component, const fs::path& given, bool two_experts) {
  fs::path found = checkpoint::find_expert(given, component);
  if (two_experts) checkpoint::check_expert_path(component, given, found);
  if (fs::exists(found)) return found;
  throw Error(Code::kNotFound, found.string() + ": given for " + component + ", not found");
}

// A component whose directory turns out to be one file is a path of weights, unless there is one.
void find_components(PipelineOptions& options, bool two_experts) {
  for (auto& [component, path] : options.weights_paths) {
    path = find_component(component, path, two_experts);
  }
  const auto given = options.component_paths;
  for (const auto& [component, path] : given) {
    const fs::path found = find_component(component, path, two_experts);
    if (fs::is_directory(found)) {
      options.component_paths[component] = found;
    } else {
      options.component_paths.erase(component);
      options.weights_paths.emplace(component, found);
    }
  }
}

// The model's own files of a component; nullopt where they are not there, or not whole.
std::optional<Checkpoint> open_own(const PipelineOptions& options, const char* component) {
  try {
    return checkpoint::open_transformer_checkpoint(options.model_directory / component).checkpoint;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

checkpoint::ModelDirectory open_model(PipelineOptions& options) {
  const std::set<std::string> replaced = replaced_components(options);
  checkpoint::ModelDirectory directory =
      checkpoint::open_model_directory(options.model_directory, replaced);
  for (const auto* paths : {&options.component_paths, &options.weights_paths}) {
    for (const auto& [component, path] : *paths) {
      if (directory.has(component)) continue;
      throw Error(Code::kInvalidArgument, path.string() + ": given for " + component + ", which " +
                                              options.model_directory.string() + " has not");
    }
  }
  find_components(options, directory.has(checkpoint::kLowNoiseExpert));
  for (const auto& [component, path] : options.component_paths) {
    directory.override_component(component, path);
  }
  return directory;
}

void check_experts(const PipelineOptions& options, const Checkpoint& high_noise,
                   const Checkpoint& low_noise) {
  checkpoint::check_experts_differ(high_noise, low_noise);
  const std::set<std::string> replaced = replaced_components(options);
  if (replaced.empty()) return;
  const auto own_high = open_own(options, checkpoint::kHighNoiseExpert);
  const auto own_low = open_own(options, checkpoint::kLowNoiseExpert);
  if (!own_high || !own_low) return;
  if (replaced.contains(checkpoint::kHighNoiseExpert)) {
    checkpoint::check_expert_content(checkpoint::kHighNoiseExpert, high_noise, *own_high, *own_low);
  }
  if (replaced.contains(checkpoint::kLowNoiseExpert)) {
    checkpoint::check_expert_content(checkpoint::kLowNoiseExpert, low_noise, *own_low, *own_high);
  }
}

}  // namespace mxvideo::pipeline
