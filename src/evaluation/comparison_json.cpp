#include "evaluation/comparison_json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/median.h"
#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "base/text/json.h"

namespace mxvideo::evaluation {
namespace {
using Json = nlohmann::ordered_json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Json error_json(const SignalError& error) {
  return {{"sqnr_db", finite_or_null(error.sqnr_db())},
          {"cosine", error.cosine()},
          {"relative_rms", finite_or_null(error.relative_rms())}};
}

Json layer_json(const LayerFidelity& layer) {
  Json weights = convert::to_json(layer.weights);
  for (const char* key : {"layer", "rows", "columns", "scale_exponents", "signal", "noise"}) {
    weights.erase(key);
  }
  weights["cosine"] = layer.weight_error.cosine();
  Json outputs = error_json(layer.output_error);
  outputs["values"] = layer.output_error.count();
  return {{"component", layer.component},  {"layer", layer.layer},
          {"rows", layer.weights.rows},    {"columns", layer.weights.columns},
          {"weights", std::move(weights)}, {"outputs", std::move(outputs)}};
}

Json video_json(const VideoFidelity& video) {
  Json frames = Json::array();
  for (const FrameFidelity& frame : video.frames) {
    frames.push_back({{"psnr_db", finite_or_null(frame.psnr_db)}, {"ssim", frame.ssim}});
  }
  return {{"psnr_db", finite_or_null(video.psnr_db)},
          {"mean_frame_psnr_db", finite_or_null(video.mean_frame_psnr_db)},
          {"median_frame_psnr_db", finite_or_null(video.median_frame_psnr_db)},
          {"worst_frame_psnr_db", finite_or_null(video.worst_frame_psnr_db)},
          {"mean_ssim", video.mean_ssim},
          {"worst_ssim", video.worst_ssim},
          {"frames", std::move(frames)}};
}

Json scheme_json(const SchemeResult& scheme) {
  const SchemeSummary summary = summarize(scheme);
  Json json = {{"seconds", scheme.seconds},
               {"seconds_per_step", summary.seconds_per_step},
               {"peak_rss_bytes", summary.peak_rss_bytes},
               {"resident_before_bytes", scheme.resident_before_bytes},
               {"transformer_weight_bytes", summary.transformer_bytes},
               {"transformer_file_bytes", summary.transformer_file_bytes}};
  if (!scheme.layers.empty()) {
    json["weights_sqnr_db"] = finite_or_null(summary.weights_sqnr_db);
    json["outputs_median_sqnr_db"] = finite_or_null(summary.outputs_median_sqnr_db);
    json["outputs_worst_sqnr_db"] = finite_or_null(summary.outputs_worst_sqnr_db);
    json["outputs_worst_layer"] = summary.outputs_worst_layer;
  }
  if (scheme.fidelity) {
    json["latents"] = Json::array();
    for (size_t i = 0; i < scheme.steps.size(); ++i) {
      Json step = {{"step", i + 1}};
      step.update(error_json(scheme.steps[i]));
      json["latents"].push_back(std::move(step));
    }
    json["video"] = video_json(*scheme.fidelity);
  }
  json["layers"] = Json::array();
  for (const LayerFidelity& layer : scheme.layers) json["layers"].push_back(layer_json(layer));
  json["run"] = scheme.run.to_json();
  return json;
}

}  // namespace

SchemeSummary summarize(const SchemeResult& scheme) {
  SchemeSummary summary;
  std::vector<double> seconds;
  for (const pipeline::StepReport& step : scheme.run.steps) seconds.push_back(step.seconds);
  summary.seconds_per_step = seconds.empty() ? 0 : lower_median(seconds);
  summary.peak_rss_bytes = scheme.run.peak_rss_bytes;
  for (const pipeline::ComponentReport& component : scheme.run.components) {
    if (component.layers.empty()) continue;
    summary.transformer_bytes += component.weight_bytes;
    summary.transformer_file_bytes += component.checkpoint_bytes;
  }
  convert::LayerReport total;
  std::vector<double> outputs;
  summary.outputs_worst_sqnr_db = kInfinity;
  for (const LayerFidelity& layer : scheme.layers) {
    total.signal += layer.weights.signal;
    total.noise += layer.weights.noise;
    outputs.push_back(layer.output_error.sqnr_db());
    if (!summary.outputs_worst_layer.empty() && outputs.back() >= summary.outputs_worst_sqnr_db) {
      continue;
    }
    summary.outputs_worst_sqnr_db = outputs.back();
    summary.outputs_worst_layer = layer.layer;
  }
  summary.weights_sqnr_db = total.sqnr_db();
  summary.outputs_median_sqnr_db = outputs.empty() ? kInfinity : lower_median(outputs);
  return summary;
}

Json to_json(const ComparisonResult& comparison) {
  Json json;
  json["recipe"] = comparison.recipe;
  json["recipe"].erase("quantization");
  json["cpu"] = cpu_model_name();
  json["cpu_features"] = cpu_features_to_string(cpu_features());
  json["threads"] = num_threads();
  json["reference"] = comparison.schemes.front().name;
  json["schemes"] = Json::object();
  for (const SchemeResult& scheme : comparison.schemes) {
    json["schemes"][scheme.name] = scheme_json(scheme);
  }
  return json;
}

}  // namespace mxvideo::evaluation
