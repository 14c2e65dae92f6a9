#include "evaluation/scheme_comparison.h"

#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "base/system/memory_usage.h"
#include "evaluation/rgb_run.h"
#include "pipeline/request/recipe.h"

namespace mxvideo::evaluation {

using pipeline::Engine;
using pipeline::GenerateRequest;
using pipeline::PipelineOptions;

namespace {

pipeline::RunHooks run_hooks(const ComparisonHooks& hooks, const std::string& run) {
  pipeline::RunHooks result;
  if (hooks.progress) {
    result.progress = [&hooks, run](std::string_view phase, int64_t done, int64_t total) {
      hooks.progress(run, phase, done, total);
    };
  }
  if (hooks.notice) {
    result.notice = [&hooks, run](const std::string& line) { hooks.notice(run + ": " + line); };
  }
  result.cancellation = hooks.cancellation;
  return result;
}

std::string hash_of(const Tensor& tensor) {
  Sha256 hash;
  hash.update({tensor.data(), static_cast<size_t>(tensor.bytes())});
  return hash.hex_digest();
}

void refuse_quantized_model(const PipelineOptions& options) {
  PipelineOptions plain = options;
  plain.quantization = {};
  const Engine model(plain);
  for (const pipeline::Expert& expert : model.experts()) {
    if (expert.declared_origin.empty()) continue;
    throw Error(Code::kInvalidArgument,
                options.model_directory.string() + ": the weights are quantized already, as " +
                    expert.declared_origin +
                    " declares, so there is nothing to measure them against; compare takes the "
                    "float model that they were made from");
  }
}

}  // namespace

// Latents of the reference after each step.
struct SchemeComparison::Latents {
  bool recorded = false;
  std::vector<Tensor> steps;
};

SchemeComparison::SchemeComparison(ComparisonOptions options) : options_(std::move(options)) {
  if (options_.schemes.size() < 2) {
    throw Error(Code::kInvalidArgument,
                "a comparison needs a reference and at least one more scheme, such as "
                "none,mxfp8; got " +
                    std::to_string(options_.schemes.size()));
  }
  refuse_quantized_model(options_.pipeline);
  for (const SchemeVariant& scheme : options_.schemes) {
    engines_.emplace_back(scheme_options(scheme));
  }
}

PipelineOptions SchemeComparison::scheme_options(const SchemeVariant& scheme) const {
  PipelineOptions options = options_.pipeline;
  scheme.apply(options);
  return options;
}

// Returns the hash of the final latents.
std::string SchemeComparison::run_timed(const Engine& model, const GenerateRequest& request,
                                        const ComparisonHooks& hooks, SchemeResult& result) const {
  trim_heap();
  result.resident_before_bytes = resident_bytes();
  const auto start = std::chrono::steady_clock::now();
  pipeline::Run run(model, request, run_hooks(hooks, result.name));
  pipeline::generate(run);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  result.seconds = elapsed.count();
  result.run = std::move(run.report);
  result.run.add_kernels(run.context);
  return hash_of(run.latents);
}

std::string SchemeComparison::run_measured(const SchemeVariant& scheme,
                                           const GenerateRequest& request,
                                           const ComparisonHooks& hooks, Latents& latents,
                                           SchemeResult& result) const {
  LinearFidelity fidelity;
  PipelineOptions options = scheme_options(scheme);
  options.wrap_quantization = [&](const std::string& component, auto config) {
    return fidelity.wrap(component, scheme.options, std::move(config));
  };
  const Engine model(std::move(options));
  pipeline::RunHooks watch = run_hooks(hooks, result.name + " measured");
  watch.notice = nullptr;  // said by the first run
  watch.on_step = [&](int64_t index, const Tensor& on_device) {
    const OnHost on_host(on_device);
    const Tensor& step = *on_host;
    if (!latents.recorded) return latents.steps.push_back(step.clone());
    SignalError error;
    error.add(latents.steps[static_cast<size_t>(index)].values(), step.values(),
              step.dim(step.shape().rank() - 1));
    result.steps.push_back(error);
  };
  pipeline::Run run(model, request, std::move(watch));
  result.video = generate_rgb(run);
  latents.recorded = true;
  for (const LayerFidelity* layer : fidelity.layers()) result.layers.push_back(*layer);
  return hash_of(run.latents);
}

ComparisonResult SchemeComparison::run(const GenerateRequest& request,
                                       const ComparisonHooks& hooks) const {
  ComparisonResult result;
  result.request = reference().resolve(request);
  result.recipe = pipeline::recipe_json(reference(), request, result.request);
  std::vector<std::string> hashes;
  for (size_t i = 0; i < engines_.size(); ++i) {
    SchemeResult& scheme = result.schemes.emplace_back();
    scheme.name = options_.schemes[i].name;
    hashes.push_back(run_timed(engines_[i], request, hooks, scheme));
  }
  Latents latents;
  for (size_t i = 0; i < engines_.size(); ++i) {
    SchemeResult& scheme = result.schemes[i];
    const std::string hash = run_measured(options_.schemes[i], request, hooks, latents, scheme);
    check(hash == hashes[i], "measuring a scheme changes nothing in its result");
    if (i > 0) scheme.fidelity = compare_videos(result.schemes.front().video, scheme.video);
  }
  return result;
}

}  // namespace mxvideo::evaluation
