// What a run did: stages, steps, memory, kernels, quantized layers. Filled by the pipeline, written
// by the CLI as JSON, embedded in the video. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quantization/linear_method.h"

namespace mxvideo::pipeline {

struct StageReport {
  std::string name;  // "load_text_encoder", "encode_prompt", "denoise", …
  double seconds = 0;
  int64_t peak_rss_bytes = 0;  // highest resident memory during the stage
};

struct StepReport {
  int64_t index = 0;
  int64_t timestep = 0;
  double sigma = 0;
  std::string expert;  // "transformer" or "transformer_2"
  double seconds = 0;
};

struct LayerReport {
  std::string name;
  std::string scheme;
  std::string reason;  // why it is not quantized; empty when it is or when nothing was asked
  int64_t checkpoint_bytes = 0;
  int64_t weight_bytes = 0;
  std::optional<quantization::LinearProduct> product;  // of quantized layers
};

// Weight bytes of a component as stored in its files and as held in memory.
struct ComponentReport {
  std::string name;
  // Transformers: "none", "mxfp8" (online) or the source of the files' declaration, and the file
  // that declares. Text encoder: a scheme that was asked for.
  std::string quantization, declared_in;
  int64_t checkpoint_bytes = 0;
  int64_t weight_bytes = 0;
  std::vector<LayerReport> layers;  // linear layers, where `quantization` is not empty
};

// What the cache of prompt embeddings had.
struct TextCacheReport {
  std::string directory;                                     // empty: no cache was asked for
  std::vector<std::pair<std::string, std::string>> prompts;  // "prompt", … -> "hit" or "miss"
};
nlohmann::ordered_json text_cache_json(const TextCacheReport& report);

class StageTimer;

struct RunReport {
  std::vector<StageReport> stages;  // in the order in which they ended
  std::vector<StepReport> steps;
  std::vector<ComponentReport> components;
  TextCacheReport text_cache;
  std::vector<std::string> notices;  // everything that a user should know and did not ask for
  std::map<std::pair<std::string, std::string>, int64_t> kernels;  // (op, row) -> calls
  int64_t peak_rss_bytes = 0;
  std::vector<StageTimer*> open_stages;

  static void add_layers(ComponentReport& component,
                         const std::vector<const quantization::LinearMethod*>& linears,
                         const kernels::Context& context);
  // Adds the calls that a context counted.
  void add_kernels(const kernels::Context& context);
  nlohmann::ordered_json to_json() const;
};

// Times one stage and notes its peak memory when it ends; stages may nest. A stage left by an
// exception counts too.
class StageTimer {
 public:
  StageTimer(RunReport& report, std::string name);
  ~StageTimer();
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  // Folds the peak since the last call into every open stage and starts a new peak.
  void collect_peak();

  RunReport& report_;
  std::string name_;
  int64_t peak_ = 0;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace mxvideo::pipeline
