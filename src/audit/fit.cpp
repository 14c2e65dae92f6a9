#include "audit/fit.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/text/field.h"
#include "media/ffmpeg.h"

namespace mxvideo::audit {
namespace {

using Json = nlohmann::ordered_json;
using pipeline::GenerateRequest;
using pipeline::MemoryPlan;
using pipeline::VaeTilingMode;

// Those that the run will need are memory of the process, which the plan measures.
void load_libraries(VideoFile video) {
  namespace ffmpeg = media::ffmpeg;
  if (video == VideoFile::kMp4) {
    ffmpeg::formats();
    ffmpeg::codecs();
  }
  if (video == VideoFile::kMp4 || video == VideoFile::kY4m) {
    ffmpeg::scaler();
    ffmpeg::util();
  }
}

DiskPlan plan_disk(const PlanOptions& options, const MemoryPlan& plan) {
  const pipeline::ResolvedRequest& request = plan.request;
  const int64_t pixels = request.width * request.height * request.num_frames;
  DiskPlan disk;
  switch (options.video) {
    case VideoFile::kMp4:
      disk.video = pixels / 32;  // a quarter of a bit per pixel: moving pictures at rate factor 25
      disk.video_at_most = pixels * 3 / 2;  // uncompressed, which noise comes near
      break;
    case VideoFile::kWebp:
      disk.video = pixels / 8;  // a bit per pixel: quality 90, little from frame to frame
      disk.video_at_most = pixels * 3 / 2;
      break;
    case VideoFile::kY4m:
      disk.video = pixels * 3 + request.num_frames * 6 + 100;  // "FRAME\n", a header line
      break;
    case VideoFile::kPng:
      disk.video = pixels * 3 + request.num_frames * (request.height + 1000);
      break;
  }
  constexpr int64_t kContainer = 1 << 16;  // index and recipe
  disk.video_at_most = std::max(disk.video_at_most, disk.video) + kContainer;
  for (const auto& [prompt, state] : plan.text_cache.prompts) {
    if (state == "miss") disk.text_cache += plan.text_bytes;
  }
  constexpr int64_t kHeader = 1 << 16;  // the recipe is in it
  if (options.save_latents) disk.latents = plan.latent_bytes + kHeader;
  constexpr int64_t kTensors = 1 + pipeline::UniPcScheduler::kStateTensors;
  disk.state = 2 * (kTensors * plan.latent_bytes + kHeader);
  return disk;
}

bool fits(const MemoryPlan& plan, const AvailableMemory& available) {
  return plan.peak_bytes() - plan.process_bytes <= available.bytes;
}

// A stage's memory with that of the video encoder, which is open from the beginning of a run.
MemoryPlan plan_memory(pipeline::Run& run, VideoFile video) {
  // Measured as what H.264 adds to the resident memory of a run over y4m: 10.3 MiB at 128x128 with
  // two threads. While frames come it looks at some of them at once: 170 MiB more at 1280x704.
  constexpr int64_t kEncoderBytes = 9 << 20, kMostFrames = 44, kHalfBytesPerPixel = 9;
  MemoryPlan plan = pipeline::plan_run(run);
  if (video != VideoFile::kMp4) return plan;
  const pipeline::ResolvedRequest& r = plan.request;
  for (pipeline::StagePlan& stage : plan.stages) {
    const int64_t frames = stage.name == "decode" ? std::min(r.num_frames, kMostFrames) : 0;
    const int64_t bytes = kEncoderBytes + frames * r.width * r.height * kHalfBytesPerPixel / 2;
    stage.parts.push_back({.name = "video encoder", .bytes = bytes});
  }
  return plan;
}

// A change that a user could make, and the fields that say so.
struct Candidate {
  std::string fields = {};
  bool quantize = false;
  bool tile = false;
  double scale = 1;  // of width and height
  bool fewer_frames = false;
};

// From the least loss to the largest.
std::vector<Candidate> candidates(const std::string& scheme, const MemoryPlan& plan) {
  const bool can_quantize = !quantization::quantizes(scheme) && !plan.quantized;
  const bool can_tile = !plan.vae_tiling;
  std::vector<Candidate> list;
  const std::string quantize = field("quantization") + " " + quantization::kSmallScheme;
  const std::string tile = field("vae_tiling") + " on";
  if (can_tile) list.push_back({.fields = tile, .tile = true});
  if (can_quantize) list.push_back({.fields = quantize, .quantize = true});
  if (can_tile && can_quantize) {
    list.push_back({.fields = quantize + " " + tile, .quantize = true, .tile = true});
  }
  const std::string prefix = (can_quantize ? quantize + " " : "") + (can_tile ? tile + " " : "");
  for (const auto& [scale, fewer] :
       {std::pair{1.0, true}, {0.75, false}, {0.5, false}, {0.5, true}, {0.25, true}}) {
    list.push_back({.fields = prefix,
                    .quantize = can_quantize,
                    .tile = can_tile,
                    .scale = scale,
                    .fewer_frames = fewer});
  }
  return list;
}

// Makes the change; the fields say which.
void apply_change(Candidate& candidate, const MemoryPlan& plan, int64_t pixel_multiple,
                  GenerateRequest& request) {
  if (candidate.tile) request.vae_tiling = VaeTilingMode::kOn;
  if (candidate.scale < 1) {
    const auto scaled = [&](int64_t pixels) {
      const auto wanted = static_cast<int64_t>(static_cast<double>(pixels) * candidate.scale);
      return std::max(pixel_multiple, wanted / pixel_multiple * pixel_multiple);
    };
    request.width = scaled(plan.request.width);
    request.height = scaled(plan.request.height);
    candidate.fields += field("size") + " " + std::to_string(*request.width) + "x" +
                        std::to_string(*request.height) + " ";
  }
  if (candidate.fewer_frames) {
    request.num_frames = (plan.request.num_frames - 1) / 8 * 4 + 1;
    candidate.fields += field("num_frames") + " " + std::to_string(*request.num_frames) + " ";
  }
  while (candidate.fields.ends_with(' ')) candidate.fields.pop_back();
}

std::vector<std::string> find_cures(const pipeline::PipelineOptions& source, VideoFile video,
                                    GenerateRequest& request, const MemoryPlan& plan,
                                    const AvailableMemory& available) {
  const auto width = request.width, height = request.height, frames = request.num_frames;
  const VaeTilingMode tiling = request.vae_tiling;
  const auto restore = [&] {
    request.width = width;
    request.height = height;
    request.num_frames = frames;
    request.vae_tiling = tiling;
  };
  std::vector<std::string> cures;
  for (Candidate candidate : candidates(source.quantization.scheme, plan)) {
    if (!cures.empty()) break;
    restore();
    pipeline::PipelineOptions pipeline_options = source;
    if (candidate.quantize) pipeline_options.quantization.scheme = quantization::kSmallScheme;
    try {
      const pipeline::Engine model(std::move(pipeline_options));
      apply_change(candidate, plan, model.pixel_multiple(), request);
      pipeline::Run run(model, request);
      if (fits(plan_memory(run, video), available)) cures.push_back(candidate.fields);
    } catch (const Error& error) {
      // A change that this model does not take is no cure.
      if (error.code() != Code::kUnsupported && error.code() != Code::kInvalidArgument) throw;
    }
  }
  restore();
  return cures;
}

Json stage_json(const pipeline::StagePlan& stage) {
  Json parts = Json::array();
  for (const pipeline::MemoryPart& part : stage.parts) {
    parts.push_back({{"name", part.name}, {"bytes", part.bytes}});
  }
  return {{"name", stage.name}, {"peak_rss_bytes", stage.bytes()}, {"parts", std::move(parts)}};
}

Json component_json(const pipeline::ComponentPlan& component) {
  Json json = {{"name", component.name},
               {"checkpoint_bytes", component.checkpoint_bytes},
               {"weight_bytes", component.weight_bytes}};
  for (const pipeline::SchemeCount& count : component.schemes) {
    Json entry = {{"scheme", count.scheme}, {"layers", count.layers}};
    if (!count.reason.empty()) entry["reason"] = count.reason;
    json["schemes"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace

PlanReport plan_generation(pipeline::Run& run, const PlanOptions& options, GenerateRequest& request,
                           const AvailableMemory& available) {
  load_libraries(options.video);
  PlanReport report;
  report.memory = plan_memory(run, options.video);
  report.available = available;
  report.fits = fits(report.memory, available);
  if (!report.fits) {
    report.cures =
        find_cures(run.engine.options(), options.video, request, report.memory, available);
  }
  report.disk = plan_disk(options, report.memory);
  return report;
}

Json plan_json(const PlanReport& report) {
  const MemoryPlan& plan = report.memory;
  Json json;
  json["width"] = plan.request.width;
  json["height"] = plan.request.height;
  json["num_frames"] = plan.request.num_frames;
  json["num_inference_steps"] = plan.request.num_inference_steps;
  json["image"] = plan.image;
  json["vae_tiling"] = plan.vae_tiling;
  json["prompt_tokens"] = plan.prompt_tokens;
  if (!plan.text_cache.directory.empty()) {
    json["text_cache"] = pipeline::text_cache_json(plan.text_cache);
  }
  json["transformer_tokens"] = plan.transformer_tokens;
  json["peak_rss_bytes"] = plan.peak_bytes();
  json["process_bytes"] = plan.process_bytes;
  json["available_bytes"] = report.available.bytes + plan.process_bytes;
  json["available_source"] = report.available.source;
  json["fits"] = report.fits;
  json["cures"] = report.cures;
  json["disk"] = {{"video_bytes", report.disk.video}, {"latents_bytes", report.disk.latents}};
  if (report.time) json["time"] = estimate::to_json(*report.time);
  json["stages"] = Json::array();
  for (const pipeline::StagePlan& stage : plan.stages) {
    json["stages"].push_back(stage_json(stage));
  }
  json["components"] = Json::array();
  for (const pipeline::ComponentPlan& component : plan.components) {
    json["components"].push_back(component_json(component));
  }
  json["kernels"] = Json::array();
  for (const pipeline::LayerKernelsPlan& layers : plan.kernels) {
    Json entry = {{"component", layers.component}, {"layers", layers.layers}};
    entry["kernels"] = Json::object();
    for (const auto& [op, row] : layers.kernels) entry["kernels"][op].push_back(row);
    json["kernels"].push_back(std::move(entry));
  }
  json["notices"] = plan.notices;
  return json;
}

}  // namespace mxvideo::audit
