// What a generation will need, told before a weight is read: memory of each stage, weights of each
// component, kernels of each class of layer, work of each stage. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "estimate/work_log.h"
#include "pipeline/request/generate_request.h"
#include "pipeline/run_report.h"

namespace mxvideo::pipeline {

struct MemoryPart {
  std::string name;  // "process", "weights", "activations", …
  int64_t bytes = 0;
};

// One stage of RunReport. The part "process" (binary, libraries, thread stacks, tokenizer) is
// measured on this process when the plan is made.
struct StagePlan {
  std::string name;
  std::vector<MemoryPart> parts;  // none empty
  int64_t bytes() const;          // sum of the parts
};

// How many layers of a transformer have a scheme, and why not another one.
struct SchemeCount {
  std::string scheme;
  std::string reason;
  int64_t layers = 0;
};

struct ComponentPlan {
  std::string name;
  int64_t checkpoint_bytes = 0;
  int64_t weight_bytes = 0;          // as RunReport's
  std::vector<SchemeCount> schemes;  // of linear layers, where there is a choice
};

// (op, row) of every kernel that a class of layers calls.
struct LayerKernelsPlan {
  std::string component;
  std::string layers;
  std::vector<std::pair<std::string, std::string>> kernels;
};

struct MemoryPlan {
  ResolvedRequest request;
  bool image = false;
  bool vae_tiling = false;
  int64_t prompt_tokens = 0;  // of the longer prompt
  int64_t transformer_tokens = 0;
  int64_t latent_bytes = 0;
  int64_t text_bytes = 0;      // of an encoded prompt of prompt_tokens
  bool quantized = false;      // some layer of a transformer
  int64_t process_bytes = 0;   // what this process had when the plan began
  TextCacheReport text_cache;  // what the run would find now
  std::vector<StagePlan> stages;
  std::vector<ComponentPlan> components;
  std::vector<LayerKernelsPlan> kernels;
  std::vector<estimate::PhaseWork> work;  // "denoise" is without the loads within it
  std::vector<std::string> notices;       // as RunReport's, of the files

  int64_t peak_bytes() const;
};

struct Run;

// What generate() of this run would need. Reads the tokenizer and the headers that are open, no
// weights. An empty prompt stands for the longest one. Of images only the sizes matter. Throws as
// generate() does before its first stage.
MemoryPlan plan_run(Run& run);

}  // namespace mxvideo::pipeline
