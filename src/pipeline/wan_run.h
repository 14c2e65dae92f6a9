// The state of one generation, private to WanPipeline's source files.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/wan/key_map.h"
#include "kernels/common/context.h"
#include "pipeline/wan_pipeline.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::pipeline {

// Tokens that the transformer attends to; shorter prompts are padded with zero rows.
inline constexpr int64_t kTextRows = tokenizer::Umt5Tokenizer::kMaxLength;

struct WanRun {
  const GenerateRequest& asked;
  ResolvedRequest request;
  const RunHooks& hooks;
  RunReport report = {};
  kernels::Context context = {};
  Tensor text = {};           // [tokens, text_dim]
  Tensor negative_text = {};  // likewise; empty without guidance
  Tensor condition = {};      // see image_condition.h; empty without an image
  Tensor latents = {};        // [z, frames, h, w], normalised

  void progress(std::string_view phase, int64_t done, int64_t total) const {
    if (hooks.progress) hooks.progress(phase, done, total);
  }
  void within(std::string_view phase, int64_t done, int64_t total, double part) const {
    if (hooks.within) hooks.within(phase, done, total, part);
  }
  void notice(const std::string& line) {
    report.notices.push_back(line);
    if (hooks.notice) hooks.notice(line);
  }
  void throw_if_cancelled() const {
    if (hooks.cancellation != nullptr) hooks.cancellation->throw_if_cancelled();
  }

  // Loads `model` (anything with declare_parameters and weight_bytes) from a component's directory
  // and notes its sizes.
  template <class Model>
  ComponentReport& load_component(const std::string& name, const std::filesystem::path& directory,
                                  checkpoint::Component component, Model& model) {
    checkpoint::Checkpoint checkpoint = checkpoint::Checkpoint::open_directory(directory);
    checkpoint::normalize_names(checkpoint, component);
    for (const std::string& line : checkpoint.notices()) notice(line);
    checkpoint::ParameterLoader loader;
    return load_component(name, checkpoint, loader, model);
  }
  // The same from files that are open; `loader` may know of more than the model.
  template <class Model>
  ComponentReport& load_component(const std::string& name, const checkpoint::Checkpoint& checkpoint,
                                  checkpoint::ParameterLoader& loader, Model& model) {
    model.declare_parameters(loader);
    const checkpoint::LoadReport loaded = loader.load(checkpoint, context);
    report.components.push_back({.name = name,
                                 .quantization = {},
                                 .declared_in = {},
                                 .checkpoint_bytes = loaded.checkpoint_bytes,
                                 .weight_bytes = model.weight_bytes(),
                                 .layers = {}});
    return report.components.back();
  }
};

struct VaeFiles {
  std::filesystem::path directory;
  const models::WanVaeConfig& config;
};

std::optional<models::WanVaeTiling> vae_tiles(bool tiling);
std::unique_ptr<models::WanVae> load_vae(WanRun& run, const VaeFiles& files,
                                         models::WanVaeParts parts);
// Progress under the name of `phase`.
models::WanVaeRun vae_run(WanRun& run, const char* phase);
// run.latents to frames for hooks.on_frames, as stages of the run.
void decode_latents(WanRun& run, const VaeFiles& files);

}  // namespace mxvideo::pipeline
