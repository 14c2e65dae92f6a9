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
#include <string>
#include <string_view>

#include "base/cancellation.h"
#include "checkpoint/model_index.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "pipeline/generate_request.h"
#include "pipeline/run_report.h"
#include "quantization/quantization_config.h"

namespace mxvideo::pipeline {

struct PipelineOptions {
  std::filesystem::path model_directory;
  quantization::QuantizationOptions quantization;
  std::map<std::string, std::string, std::less<>> forced_kernels;  // op -> row
};

// What a caller may watch or stop. Every member is optional.
struct RunHooks {
  std::function<void(std::string_view phase, int64_t done, int64_t total)> progress;
  std::function<void(const std::string& line)> notice;  // also collected in the report
  // After each step: its index and the latents [z, frames, h, w].
  std::function<void(int64_t index, const Tensor& latents)> on_step;
  const CancellationToken* cancellation = nullptr;
};

struct GenerateResult {
  Tensor video;    // [frames, height, width, 3] in [-1, 1]
  Tensor latents;  // [z, frames, h, w], normalised, as denoised
  ResolvedRequest request;
  RunReport report;
};

struct WanRun;

class WanPipeline {
 public:
  // Reads and checks every config; no weights. Throws Code::kNotFound, kCorruptFile, kUnsupported.
  explicit WanPipeline(PipelineOptions options);

  checkpoint::WanVariant variant() const { return directory_.variant; }
  const PipelineOptions& options() const { return options_; }
  // Checks a request against this model. Throws Code::kInvalidArgument.
  ResolvedRequest resolve(const GenerateRequest& request) const;
  GenerateResult generate(const GenerateRequest& request, const RunHooks& hooks = {}) const;

 private:
  struct Expert;
  class ExpertSlot;
  struct StepInput;

  models::WanTransformerConfig transformer_config(const std::string& component) const;
  void check_configs() const;
  void check_quantization() const;
  void check_files() const;
  void check_positions(const ResolvedRequest& request) const;
  bool has_two_experts() const { return directory_.has("transformer_2"); }
  Shape latent_shape(const ResolvedRequest& request) const;
  void initial_latents(WanRun& run) const;
  void encode_prompts(WanRun& run) const;
  std::unique_ptr<models::WanVae> load_vae(WanRun& run, models::WanVaeParts parts) const;
  Tensor prepare_image(WanRun& run, const RgbImage& image) const;
  models::WanVaeRun vae_run(WanRun& run, const char* phase) const;
  void encode_condition(WanRun& run) const;
  void denoise(WanRun& run) const;
  StepInput step_input(const WanRun& run, int64_t timestep) const;
  Tensor predict(WanRun& run, const Expert& expert, const StepInput& step) const;
  [[noreturn]] void report_bad_step(WanRun& run, const Expert& expert, const StepInput& step,
                                    const std::string& where) const;
  Tensor decode(WanRun& run) const;

  PipelineOptions options_;
  checkpoint::ModelDirectory directory_;
  models::WanTransformerConfig transformer_config_;
  models::WanTransformerConfig transformer_2_config_;
  models::Umt5Config text_config_;
  models::WanVaeConfig vae_config_;
  SchedulerConfig scheduler_config_;
  std::unique_ptr<quantization::QuantizationConfig> quantization_;
};

}  // namespace mxvideo::pipeline
