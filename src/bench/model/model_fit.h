// Whether the published models fit a machine, and how long a step takes: an estimate without their
// files. Not thread-safe: it uses the thread pool.
//
// Memory: what pipeline/memory_plan.cpp adds up for each phase, from the published sizes
// (synthetic/model_preset.h), BF16 files and a prompt as long as one can be.
// Time: the operations of both passes of guidance (bench/model/step_bench.h), divided by the rates
// of one linear layer and one attention that are measured now.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mxvideo::bench {

// Operations per second.
struct ProbedRates {
  double linear_none = 0, linear_mxfp8 = 0, attention = 0;
};

// Takes some tenths of a second.
ProbedRates probe_rates();

struct ModelFit {
  std::string model;   // "Wan2.2-T2V-A14B"
  std::string scheme;  // "none", "mxfp8"
  int64_t width = 0, height = 0, frames = 0;
  int64_t peak_bytes = 0;  // of the largest phase, without what the process has before
  std::string phase;       // which that is
  double seconds_per_step = 0;
};

// The three models, each under both schemes, at the size that is usual for it.
std::vector<ModelFit> fit_published_models(const ProbedRates& rates);

}  // namespace mxvideo::bench
