// Text- and image-to-video with Wan2.2: prompt -> text encoder -> denoising by one or two expert
// transformers -> VAE. Source of the procedure: diffusers WanPipeline and WanImageToVideoPipeline.
//
// Components are loaded when their stage begins and released when it ends; only one expert is in
// memory at a time. One generation at a time per object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "base/function_ref.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/key_map.h"
#include "checkpoint/wan/model_index.h"
#include "kernels/common/context.h"
#include "media/frame_part.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "pipeline/generate_request.h"
#include "pipeline/memory_plan.h"
#include "pipeline/run_report.h"
#include "pipeline/text_cache.h"
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
  std::map<std::string, std::string, std::less<>> forced_kernels;  // op -> row
  kernels::Compute compute = kernels::Compute::kAuto;
  kernels::AttentionProducts attention = kernels::AttentionProducts::kFp32;
  Device* device = &cpu_device();  // where runs compute
  // Directory of prompt embeddings (text_cache.h); empty: none is read or kept.
  std::filesystem::path text_cache = {};
  // Optional: called with "transformer" or "transformer_2" and how its layers are quantized;
  // returns what the pipeline uses in its place. For measuring.
  std::function<std::unique_ptr<quantization::QuantizationConfig>(
      const std::string& component, std::unique_ptr<quantization::QuantizationConfig>)>
      wrap_quantization = nullptr;
};

// What a caller may watch or stop. Every member is optional.
struct RunHooks {
  std::function<void(std::string_view phase, int64_t done, int64_t total)> progress = {};
  std::function<void(const std::string& line)> notice = {};  // also collected in the report
  // After each step: its index and the latents [z, frames, h, w]. Tensors that hooks get, and those
  // of GenerateResult, are of the host.
  std::function<void(int64_t index, const Tensor& latents)> on_step = {};
  const CancellationToken* cancellation = nullptr;
  // Within a unit of a phase, after each block of a transformer or text encoder: `part` of the unit
  // after `done` is finished, 0 to 1.
  std::function<void(std::string_view phase, int64_t done, int64_t total, double part)> within = {};
  // Once, after the last step and before decoding: GenerateResult::latents.
  std::function<void(const Tensor& latents)> on_latents = {};
  // The video, as it is decoded.
  std::function<void(const media::FramePart& part)> on_frames = {};
};

struct GenerateResult {
  Tensor latents;  // [z, frames, h, w], normalised, as denoised
  ResolvedRequest request;
  RunReport report;
};

// One expert transformer before its weights are read.
struct WanExpert {
  std::string name;               // "transformer" (high noise, or the only one), "transformer_2"
  std::filesystem::path weights;  // directory or file
  models::WanTransformerConfig config;
  std::string declared_origin;  // the file that declares its quantization; empty: none does
  std::unique_ptr<quantization::QuantizationConfig> quantization;
  std::vector<std::string> notices;
};

struct WanRun;
struct VaeFiles;

class WanPipeline {
 public:
  // Reads and checks every config and what the transformers' files declare; no weights. Throws
  // Code::kNotFound, kCorruptFile, kUnsupported, kInvalidArgument.
  explicit WanPipeline(PipelineOptions options);

  checkpoint::WanVariant variant() const { return directory_.variant; }
  const PipelineOptions& options() const { return options_; }
  const checkpoint::GenerationDefaults& defaults() const { return defaults_; }
  // Width and height are multiples of it.
  int64_t pixel_multiple() const;
  const std::vector<WanExpert>& experts() const { return experts_; }  // one or two
  // Checks a request against this model. Throws Code::kInvalidArgument.
  ResolvedRequest resolve(const GenerateRequest& request) const;
  // What generate() would need: memory, kernels. Reads headers, configs and the tokenizer, no
  // weights. An empty prompt stands for the longest one. Of the images only the sizes matter.
  // Throws as generate() does before its first stage.
  MemoryPlan plan(const GenerateRequest& request) const;
  GenerateResult generate(const GenerateRequest& request, const RunHooks& hooks = {}) const;
  // Its two halves: what is reported of the first one outlives a failure of the second.
  GenerateResult generate_latents(const GenerateRequest& request, const RunHooks& hooks) const;
  void decode(GenerateResult& result, const RunHooks& hooks) const;

 private:
  struct LoadedExpert;
  class ExpertSlot;
  struct StepInput;
  struct PlanRun;

  // Adds the files of the expert to `opened`.
  WanExpert plan_expert(const std::string& component,
                        std::vector<checkpoint::Checkpoint>& opened) const;
  void check_configs() const;
  void check_quantization() const;
  void check_text_quantization() const;
  void check_files() const;
  void check_positions(const ResolvedRequest& request) const;
  bool has_two_experts() const { return experts_.size() == 2; }
  const models::WanTransformerConfig& transformer_config() const { return experts_[0].config; }
  kernels::RunPolicy run_policy() const;
  kernels::Context make_context() const;
  Shape latent_shape(const ResolvedRequest& request) const;
  void initial_latents(WanRun& run) const;
  quantization::QuantizationOptions text_quantization() const;
  models::Umt5Encoder make_text_encoder() const;
  std::optional<TextCache> open_text_cache() const;
  void keep_text(WanRun& run, const TextCache& cache, std::span<const int32_t> ids,
                 const Tensor& rows) const;
  void encode_prompts(WanRun& run) const;
  Tensor prepare_image(WanRun& run, const media::RgbImage& image) const;
  VaeFiles vae_files() const;
  void encode_condition(WanRun& run) const;
  // 0: transformer, 1: transformer_2.
  int expert_of(const ResolvedRequest& request, int64_t timestep) const;
  void count_expert_steps(const GenerateRequest& request, ResolvedRequest& resolved) const;
  void denoise(WanRun& run) const;
  StepInput step_input(WanRun& run, int64_t timestep) const;
  Tensor predict(WanRun& run, const LoadedExpert& expert, const StepInput& step,
                 FunctionRef<void(double part)> progress) const;
  [[noreturn]] void report_bad_step(WanRun& run, const LoadedExpert& expert, const StepInput& step,
                                    const std::string& where) const;
  struct DryStage;
  template <class Model>
  checkpoint::LoadPlan plan_load(const std::string& name, checkpoint::Component component,
                                 Model& model, DryStage& stage) const;
  void plan_text_cache(PlanRun& run) const;
  void plan_text(PlanRun& run) const;
  void plan_condition(PlanRun& run) const;
  std::vector<int> planned_experts(const PlanRun& run) const;
  // Bytes.
  struct DryStep {
    int64_t workspace = 0;
    int64_t texts = 0;  // keys and values of the prompts
    int64_t activations = 0;
  };
  DryStep dry_step(DryStage& stage, const models::WanTransformer& model, const Shape& input,
                   bool two_times, bool guided) const;
  void plan_denoise(PlanRun& run) const;
  void plan_decode(PlanRun& run) const;

  PipelineOptions options_;
  checkpoint::ModelDirectory directory_;
  std::vector<WanExpert> experts_;
  models::Umt5Config text_config_;
  models::WanVaeConfig vae_config_;
  SchedulerConfig scheduler_config_;
  checkpoint::GenerationDefaults defaults_;
};

}  // namespace mxvideo::pipeline
