#include "pipeline/run_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/system/memory_usage.h"

namespace mxvideo::pipeline {
namespace {

using Json = nlohmann::ordered_json;

Json layers_to_json(const std::vector<LayerReport>& layers) {
  Json list = Json::array();
  for (const LayerReport& layer : layers) {
    Json entry = {{"name", layer.name}, {"scheme", layer.scheme}};
    if (!layer.reason.empty()) entry["reason"] = layer.reason;
    entry["checkpoint_bytes"] = layer.checkpoint_bytes;
    entry["weight_bytes"] = layer.weight_bytes;
    if (layer.product) {
      entry["kernel"] = layer.product->kernel;
      entry["added_noise_db"] = layer.product->added_noise_db;
    }
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

Json text_cache_json(const TextCacheReport& report) {
  Json json = {{"directory", report.directory}};
  for (const auto& [prompt, state] : report.prompts) json[prompt] = state;
  return json;
}

void RunReport::add_layers(ComponentReport& component,
                           const std::vector<const quantization::LinearMethod*>& linears,
                           const kernels::Context& context) {
  for (const quantization::LinearMethod* linear : linears) {
    component.layers.push_back({.name = linear->name(),
                                .scheme = linear->scheme(),
                                .reason = linear->reason(),
                                .checkpoint_bytes = linear->checkpoint_bytes(),
                                .weight_bytes = linear->weight_bytes(),
                                .product = linear->product(context)});
  }
}

void RunReport::add_kernels(const kernels::Context& context) {
  for (const auto& [choice, calls] : context.choices()) kernels[choice] += calls;
}

Json RunReport::to_json() const {
  Json json;
  json["peak_rss_bytes"] = peak_rss_bytes;
  json["stages"] = Json::array();
  for (const StageReport& stage : stages) {
    json["stages"].push_back({{"name", stage.name},
                              {"seconds", stage.seconds},
                              {"peak_rss_bytes", stage.peak_rss_bytes}});
  }
  json["steps"] = Json::array();
  for (const StepReport& step : steps) {
    json["steps"].push_back({{"index", step.index},
                             {"timestep", step.timestep},
                             {"sigma", step.sigma},
                             {"expert", step.expert},
                             {"seconds", step.seconds}});
  }
  json["components"] = Json::array();
  for (const ComponentReport& component : components) {
    Json entry = {{"name", component.name}};
    if (!component.quantization.empty()) entry["quantization"] = component.quantization;
    if (!component.declared_in.empty()) entry["declared_in"] = component.declared_in;
    entry["checkpoint_bytes"] = component.checkpoint_bytes;
    entry["weight_bytes"] = component.weight_bytes;
    if (!component.layers.empty()) entry["layers"] = layers_to_json(component.layers);
    json["components"].push_back(std::move(entry));
  }
  json["kernels"] = Json::object();
  for (const auto& [choice, calls] : kernels) json["kernels"][choice.first][choice.second] = calls;
  if (!text_cache.directory.empty()) json["text_cache"] = text_cache_json(text_cache);
  json["notices"] = notices;
  return json;
}

StageTimer::StageTimer(RunReport& report, std::string name)
    : report_(report), name_(std::move(name)), start_(std::chrono::steady_clock::now()) {
  collect_peak();
  report_.open_stages.push_back(this);
}

StageTimer::~StageTimer() {
  collect_peak();
  report_.open_stages.pop_back();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  report_.stages.push_back({.name = name_, .seconds = elapsed.count(), .peak_rss_bytes = peak_});
}

void StageTimer::collect_peak() {
  const int64_t peak = peak_resident_bytes();
  report_.peak_rss_bytes = std::max(report_.peak_rss_bytes, peak);
  for (StageTimer* stage : report_.open_stages) stage->peak_ = std::max(stage->peak_, peak);
  reset_peak_resident_bytes();
}

}  // namespace mxvideo::pipeline
