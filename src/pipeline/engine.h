// One model of Wan2.2, opened and checked once: configs, what its files declare, the headers of its
// weights, which stay open. Weights are read when a run (run.h) needs them. Thread-safe; nothing
// but what Residency keeps changes after construction.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/model_index.h"
#include "kernels/common/context.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "pipeline/request/generate_request.h"
#include "pipeline/residency.h"
#include "pipeline/solver/scheduler_config.h"
#include "pipeline/solver/unipc_scheduler.h"
#include "quantization/quantization_config.h"

namespace mxvideo::pipeline {

struct PipelineOptions {
  std::filesystem::path model_directory;
  // Instead of the model's own, by component ("transformer", "transformer_2"): a component
  // directory (with its config.json, or without to keep the model's), and the weights alone, as a
  // directory or a safetensors file. Weights win over directories.
  std::map<std::string, std::filesystem::path, std::less<>> component_paths = {};
  std::map<std::string, std::filesystem::path, std::less<>> weights_paths = {};
  quantization::QuantizationOptions quantization;
  // Scheme of the text encoder, "none" or "mxfp8"; its scale rule is that of `quantization`.
  std::string text_quantization = quantization::kNoScheme;
  kernels::RunPolicy policy;
  Device* device = &cpu_device();             // where runs compute
  std::shared_ptr<Device> owned_device = {};  // keeps it, where nobody else does
  // Directory of prompt embeddings (text_cache.h); empty: none is read or kept.
  std::filesystem::path text_cache = {};
  // Of weights that stay loaded between runs (residency.h).
  int64_t resident_bytes = 0;
  // Optional: called with "transformer" or "transformer_2" and how its layers are quantized;
  // returns what the pipeline uses in its place. For measuring.
  std::function<std::unique_ptr<quantization::QuantizationConfig>(
      const std::string& component, std::unique_ptr<quantization::QuantizationConfig>)>
      wrap_quantization = nullptr;
};

// One expert transformer before its weights are read.
struct Expert {
  std::string name;               // "transformer" (high noise, or the only one), "transformer_2"
  std::filesystem::path weights;  // directory or file
  models::WanTransformerConfig config;
  std::string declared_origin;  // the file that declares its quantization; empty: none does
  std::unique_ptr<quantization::QuantizationConfig> quantization;
  std::vector<std::string> notices;
  checkpoint::Checkpoint files;
};

class Engine {
 public:
  // Reads and checks every config, what the transformers' files declare, and that the files of each
  // component hold what it needs; no weights. Throws Code::kNotFound, kCorruptFile, kUnsupported,
  // kInvalidArgument.
  explicit Engine(PipelineOptions options);

  checkpoint::WanVariant variant() const { return directory_.variant; }
  const PipelineOptions& options() const { return options_; }
  const checkpoint::ModelDirectory& directory() const { return directory_; }
  const checkpoint::GenerationDefaults& defaults() const { return defaults_; }
  const std::vector<Expert>& experts() const { return experts_; }  // one or two
  const models::Umt5Config& text_config() const { return text_config_; }
  const models::WanVaeConfig& vae_config() const { return vae_config_; }
  const SchedulerConfig& scheduler_config() const { return scheduler_config_; }
  const checkpoint::Checkpoint& text_files() const { return text_files_; }
  const checkpoint::Checkpoint& vae_files() const { return vae_files_; }
  Residency& residency() const { return residency_; }
  // config.json of a component as it was read, a transformer's in the words of Diffusers, of the
  // scheduler its scheduler_config.json: JSON in one spelling.
  const std::string& config_text(const std::string& component) const {
    return config_texts_.at(component);
  }

  // Width and height are multiples of it.
  int64_t pixel_multiple() const;
  // Checks a request against this model. Throws Code::kInvalidArgument.
  ResolvedRequest resolve(const GenerateRequest& request) const;
  Shape latent_shape(const ResolvedRequest& request) const;
  UniPcScheduler make_solver(const GenerateRequest& asked, const ResolvedRequest& request) const;
  // Index of the expert that takes the step at this timestep.
  int expert_of(const ResolvedRequest& request, int64_t timestep) const;
  models::Umt5Encoder make_text_encoder() const;  // without weights
  kernels::Context make_context() const;

 private:
  template <class Config>
  Config read_config(const std::string& component, const char* file = "config.json");
  void add_expert(const std::string& component);
  void check_configs() const;
  void check_experts_fit() const;
  void check_positions(const ResolvedRequest& request) const;
  void count_expert_steps(const GenerateRequest& request, ResolvedRequest& resolved) const;

  PipelineOptions options_;
  checkpoint::ModelDirectory directory_;
  std::vector<Expert> experts_;
  std::map<std::string, std::string, std::less<>> config_texts_;
  models::Umt5Config text_config_;
  models::WanVaeConfig vae_config_;
  SchedulerConfig scheduler_config_;
  checkpoint::GenerationDefaults defaults_;
  checkpoint::Checkpoint text_files_, vae_files_;
  mutable Residency residency_;
};

}  // namespace mxvideo::pipeline
