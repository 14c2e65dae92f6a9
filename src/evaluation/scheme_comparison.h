// The same video by several schemes, and how far each lies from the first one, the reference.
//
// Every scheme runs twice from the same noise. First all of them as generate() runs them: seconds
// and memory come from these runs, of which nothing stays in memory. Then once more with every
// quantized layer measured (evaluation/linear_fidelity.h) and the latents of each step kept: these
// are slower and larger. Both runs of a scheme must end with the same bits.
//
// One run at a time per object.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "evaluation/linear_fidelity.h"
#include "evaluation/scheme_variant.h"
#include "evaluation/video_fidelity.h"
#include "media/video_writer.h"
#include "pipeline/run.h"

namespace mxvideo::evaluation {

struct ComparisonOptions {
  pipeline::PipelineOptions pipeline;  // its quantization is replaced by that of each scheme
  std::vector<SchemeVariant> schemes;  // the first one is the reference
};

struct ComparisonHooks {
  // `run` is "mxfp8" or, while measuring, "mxfp8 measured"; the rest as in pipeline::RunHooks.
  std::function<void(const std::string& run, std::string_view phase, int64_t done, int64_t total)>
      progress;
  std::function<void(const std::string& line)> notice;
  const CancellationToken* cancellation = nullptr;
};

struct SchemeResult {
  std::string name;
  // Of the run that is not measured.
  pipeline::RunReport run;
  double seconds = 0;                 // generate(), loading included
  int64_t resident_before_bytes = 0;  // of the process when it began
  // Of the measured run.
  media::RgbVideo video;
  std::vector<LayerFidelity> layers;      // quantized ones
  std::vector<SignalError> steps;         // latents after each step; empty for the reference
  std::optional<VideoFidelity> fidelity;  // of the video; absent for the reference
};

struct ComparisonResult {
  pipeline::ResolvedRequest request;
  nlohmann::ordered_json recipe;  // of the reference (pipeline/request/recipe.h)
  std::vector<SchemeResult> schemes;
};

class SchemeComparison {
 public:
  // Opens the model with every scheme; reads no weights. Throws Code::kInvalidArgument for fewer
  // than two schemes and for a model whose files are quantized already; else as Engine does.
  explicit SchemeComparison(ComparisonOptions options);

  const pipeline::Engine& reference() const { return engines_.front(); }
  ComparisonResult run(const pipeline::GenerateRequest& request,
                       const ComparisonHooks& hooks) const;

 private:
  struct Latents;
  pipeline::PipelineOptions scheme_options(const SchemeVariant& scheme) const;
  std::string run_timed(const pipeline::Engine& model, const pipeline::GenerateRequest& request,
                        const ComparisonHooks& hooks, SchemeResult& result) const;
  std::string run_measured(const SchemeVariant& scheme, const pipeline::GenerateRequest& request,
                           const ComparisonHooks& hooks, Latents& latents,
                           SchemeResult& result) const;

  ComparisonOptions options_;
  std::deque<pipeline::Engine> engines_;  // one per scheme
};

}  // namespace mxvideo::evaluation
