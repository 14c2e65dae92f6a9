// Whether a generation fits this machine, and what would make it fit. Reads configs, headers and
// the tokenizer; no weights. Not thread-safe: it uses the thread pool.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/system/memory_usage.h"
#include "estimate/time_report.h"
#include "pipeline/memory_plan.h"
#include "pipeline/run.h"

namespace mxvideo::audit {

// Bytes that a run writes.
struct DiskPlan {
  int64_t video = 0;  // estimate for H.264 and WebP, exact for y4m, an upper bound for PNG
  int64_t video_at_most = 0;
  int64_t latents = 0;
  int64_t text_cache = 0;  // embeddings that are not there yet
  int64_t state = 0;       // of a run that keeps one: the last and the next
};

struct PlanReport {
  pipeline::MemoryPlan memory;
  AvailableMemory available;  // beyond what this process has now
  bool fits = false;
  // When it does not fit: the smallest changes that would make it fit, fields and values; empty:
  // none found.
  std::vector<std::string> cures;
  DiskPlan disk;
  // How long memory.work takes; whoever wants it asks estimate::tell_time().
  std::optional<estimate::TimeReport> time;
};

enum class VideoFile : uint8_t { kMp4, kWebp, kY4m, kPng };

struct PlanOptions {
  VideoFile video = VideoFile::kMp4;
  bool save_latents = false;
};

// `request`, which is run.asked, is changed on the way and restored. Throws as Engine and
// pipeline::plan_run().
PlanReport plan_generation(pipeline::Run& run, const PlanOptions& options,
                           pipeline::GenerateRequest& request, const AvailableMemory& available);

nlohmann::ordered_json plan_json(const PlanReport& report);

}  // namespace mxvideo::audit
