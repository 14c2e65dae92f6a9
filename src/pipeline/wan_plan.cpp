// WanPipeline::plan(): the stages of generate() in the order in which they run, with what each one
// holds. What a model needs is what its forward pass takes of a device that computes nothing.
#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/system/memory_usage.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/key_map.h"
#include "device/dry_device.h"
#include "kernels/warm_up.h"
#include "pipeline/memory_plan.h"
#include "pipeline/text_tokenizer.h"
#include "pipeline/unipc_scheduler.h"
#include "pipeline/wan_decode.h"
#include "pipeline/wan_run.h"
#include "tokenizer/prompt_cleaner.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::pipeline {
namespace {

using checkpoint::WanVariant;
using models::WanTransformer;
using models::WanTransformerWorkspace;

int64_t f32_bytes(const Shape& shape) { return shape.count() * dtype_size(DType::kF32); }

std::vector<SchemeCount> count_schemes(
    const std::vector<const quantization::LinearMethod*>& linears) {
  std::vector<SchemeCount> counts;
  for (const quantization::LinearMethod* linear : linears) {
    const std::string scheme = linear->scheme(), reason = linear->reason();
    const auto found = std::ranges::find_if(counts, [&](const SchemeCount& count) {
      return count.scheme == scheme && count.reason == reason;
    });
    if (found != counts.end()) {
      ++found->layers;
    } else {
      counts.push_back({.scheme = scheme, .reason = reason, .layers = 1});
    }
  }
  return counts;
}

// Names and sizes, without those of no size.
StagePlan make_stage(std::string name, std::vector<MemoryPart> parts) {
  std::erase_if(parts, [](const MemoryPart& part) { return part.bytes <= 0; });
  return {.name = std::move(name), .parts = std::move(parts)};
}

}  // namespace

int64_t StagePlan::bytes() const {
  int64_t total = 0;
  for (const MemoryPart& part : parts) total += part.bytes;
  return total;
}

int64_t MemoryPlan::peak_bytes() const {
  int64_t peak = process_bytes;
  for (const StagePlan& stage : stages) peak = std::max(peak, stage.bytes());
  return peak;
}

// The plan on its way, and what the stages so far have left in memory.
struct WanPipeline::PlanRun {
  const GenerateRequest& asked;
  MemoryPlan plan;
  struct Prompt {
    const char* name;
    int64_t tokens;
    std::vector<int32_t> ids;  // empty: not known yet
    bool cached = false;       // its embedding is read instead of computed
  };
  std::vector<Prompt> prompts = {};  // the prompt and the negative prompt
  int64_t held = 0;                  // latents, encoded prompts, condition
  int64_t condition_bytes = 0;

  // What the process holds besides. A run makes this plan before its first stage, so every stage
  // has all that planning loaded and generated.
  void count_process() {
    const int64_t bytes = resident_bytes();
    for (StagePlan& stage : plan.stages) stage.parts.push_back({.name = "process", .bytes = bytes});
  }
  void add(std::string name, std::vector<MemoryPart> parts) {
    plan.stages.push_back(stage(std::move(name), std::move(parts)));
  }
  StagePlan stage(std::string name, std::vector<MemoryPart> parts) const {
    parts.push_back({.name = "latents, text and condition", .bytes = held});
    return make_stage(std::move(name), std::move(parts));
  }
  // A component that two stages load says its lines once.
  void note(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      if (std::ranges::find(plan.notices, line) == plan.notices.end()) plan.notices.push_back(line);
    }
  }
};

// A component on a device of its own that computes nothing.
struct WanPipeline::DryStage {
  PlanRun& run;
  std::string component;
  DryDevice device = {};
  kernels::Context context;

  DryStage(PlanRun& plan_run, std::string name, kernels::RunPolicy policy)
      : run(plan_run), component(std::move(name)), context(std::move(policy), device) {}

  template <class Model>
  checkpoint::LoadPlan load(const checkpoint::Checkpoint& files,
                            checkpoint::ParameterLoader& loader, Model& model) {
    model.declare_parameters(loader);
    const checkpoint::LoadPlan result = loader.load_dry(files, context);
    run.plan.components.push_back({.name = component,
                                   .checkpoint_bytes = result.checkpoint_bytes,
                                   .weight_bytes = result.resident,
                                   .schemes = {}});
    return result;
  }
  // Most that `work` has beyond what was there.
  template <class Work>
  int64_t measure(const Work& work) {
    const int64_t start = device.allocated_bytes();
    device.reset_peak_allocated_bytes();
    work();
    return device.peak_allocated_bytes() - start;
  }
  // What was chosen, by class of layers.
  void note_kernels() const {
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> layers;
    for (const auto& [choice, calls] : context.choices_by_layers()) {
      layers[choice.layers].emplace_back(choice.op, choice.row);
    }
    for (auto& [name, kernels] : layers) {
      run.plan.kernels.push_back(
          {.component = component, .layers = name, .kernels = std::move(kernels)});
    }
  }
};

template <class Model>
checkpoint::LoadPlan WanPipeline::plan_load(const std::string& name,
                                            checkpoint::Component component, Model& model,
                                            DryStage& stage) const {
  checkpoint::Checkpoint files = checkpoint::Checkpoint::open_directory(directory_.path(name));
  checkpoint::normalize_names(files, component);
  stage.run.note(files.notices());
  checkpoint::ParameterLoader loader;
  return stage.load(files, loader, model);
}

// Marks the prompts that are in the cache.
void WanPipeline::plan_text_cache(PlanRun& run) const {
  const std::optional<TextCache> cache = open_text_cache();
  if (!cache) return;
  TextCacheReport& report = run.plan.text_cache;
  report.directory = cache->directory().string();
  int64_t file = 0;  // the largest, in memory while it is read
  for (PlanRun::Prompt& prompt : run.prompts) {
    prompt.cached = !prompt.ids.empty() && cache->find(prompt.ids).rows.has_value();
    report.prompts.emplace_back(prompt.name, prompt.cached ? "hit" : "miss");
    if (!prompt.cached) continue;
    file = std::max(file, f32_bytes({prompt.tokens, text_config_.d_model}));
    run.held += f32_bytes({prompt.tokens, text_config_.d_model});
  }
  run.add("read_text_cache", {{"activations", 2 * file}});
}

void WanPipeline::plan_text(PlanRun& run) const {
  plan_text_cache(run);
  if (std::ranges::all_of(run.prompts, &PlanRun::Prompt::cached)) return;
  DryStage stage(run, "text_encoder", run_policy());
  models::Umt5Encoder encoder = make_text_encoder();
  const checkpoint::LoadPlan load =
      plan_load("text_encoder", checkpoint::Component::kTextEncoder, encoder, stage);
  if (quantization::quantizes(options_.text_quantization)) {
    run.plan.components.back().schemes = count_schemes(encoder.linears());
  }
  run.add("load_text_encoder",
          {{"weights", load.resident}, {"reading", load.peak - load.resident}});
  kernels::warm_up();
  std::vector<Tensor> encoded;
  const int64_t peak = stage.measure([&] {
    const kernels::Layers layers(stage.context, "all layers");
    for (const PlanRun::Prompt& prompt : run.prompts) {
      if (prompt.cached) continue;
      const std::vector<int32_t> ids(static_cast<size_t>(prompt.tokens));
      encoded.push_back(encoder.encode(ids, stage.context));
    }
  });
  run.add("encode_prompt", {{"weights", load.resident}, {"activations", peak}});
  stage.note_kernels();
  for (const Tensor& text : encoded) run.held += text.bytes();
}

void WanPipeline::plan_condition(PlanRun& run) const {
  if (!run.asked.image) return;
  const ResolvedRequest& request = run.plan.request;
  const bool ti2v = directory_.variant == WanVariant::kTI2V;
  const int64_t picture = f32_bytes({3, request.height, request.width});
  const int64_t pictures = run.asked.last_image ? 2 * picture : picture;
  DryStage stage(run, "vae", run_policy());
  models::WanVae vae(vae_config_, {.encoder = true, .decoder = false});
  const checkpoint::LoadPlan load = plan_load("vae", checkpoint::Component::kVae, vae, stage);
  run.add("load_vae",
          {{"weights", load.resident}, {"reading", load.peak - load.resident}, {"image", picture}});
  const Shape video{ti2v ? 1 : request.num_frames, request.height, request.width, 3};
  const Tensor pixels = stage.context.tensor(video);
  const int64_t activations = stage.measure([&] {
    vae.encode(pixels, {.context = &stage.context, .tiling = vae_tiles(request.vae_tiling)});
  });
  run.add("encode_image", {{"weights", load.resident},
                           {"activations", activations},
                           {"video", f32_bytes(video)},
                           {"image", pictures}});
  stage.note_kernels();
  Shape condition = latent_shape(request);
  if (ti2v) {
    condition = {condition[0], 1, condition[2], condition[3]};
  } else {
    condition = {condition[0] + vae_config_.scale_factor_temporal, condition[1], condition[2],
                 condition[3]};
  }
  run.condition_bytes = f32_bytes(condition);
  run.held += run.condition_bytes;
}

// Which experts the steps use.
std::vector<int> WanPipeline::planned_experts(const PlanRun& run) const {
  const ResolvedRequest& request = run.plan.request;
  const UniPcScheduler scheduler(scheduler_config_, {.steps = request.num_inference_steps,
                                                     .grid = run.asked.sigma_grid,
                                                     .flow_shift = request.flow_shift});
  std::vector<int> experts;
  for (const int64_t timestep : scheduler.timesteps()) {
    const int expert = expert_of(request, timestep);
    if (experts.empty() || experts.back() != expert) experts.push_back(expert);
  }
  return experts;
}

// What one step takes of the device of `stage`.
WanPipeline::DryStep WanPipeline::dry_step(DryStage& stage, const WanTransformer& model,
                                           const Shape& input, bool two_times, bool guided) const {
  DryStep step;
  std::optional<WanTransformerWorkspace> workspace;
  step.workspace = stage.measure([&] { workspace.emplace(model, input, stage.context); });
  std::vector<models::WanTextContext> texts;
  int64_t encoding = 0;
  for (const PlanRun::Prompt& prompt : stage.run.prompts) {
    if (!texts.empty() && !guided) break;  // the negative prompt
    const Tensor text = stage.context.tensor({prompt.tokens, text_config_.d_model});
    encoding = std::max(encoding, step.texts + stage.measure([&] {
      texts.push_back(model.encode_text({.text = &text, .rows = kTextRows}, stage.context));
    }));
    step.texts += texts.back().bytes();
  }
  const int64_t forward = stage.measure([&] {
    const Tensor latents = stage.context.tensor(input);
    models::WanTransformerInput call;
    call.latents = &latents;
    call.timesteps = {0};
    if (two_times) {
      call.timesteps.push_back(0);
      call.token_timestep.assign(static_cast<size_t>(model.token_count(input)), 0);
    }
    for (const models::WanTextContext& text : texts) call.texts.push_back(&text);
    model.forward(call, *workspace, stage.context);
  });
  step.activations = std::max(forward, encoding - step.texts);
  return step;
}

void WanPipeline::plan_denoise(PlanRun& run) const {
  const ResolvedRequest& request = run.plan.request;
  const Shape latents = latent_shape(request);
  const bool two_times = run.condition_bytes > 0 && directory_.variant == WanVariant::kTI2V;
  const int64_t solver = UniPcScheduler::kStateTensors * f32_bytes(latents);
  bool stepped = false;  // the solver has its state from the first step on
  StagePlan largest;
  const auto consider = [&](const StagePlan& stage) {
    if (stage.bytes() > largest.bytes()) largest = {.name = "denoise", .parts = stage.parts};
  };
  for (const int index : planned_experts(run)) {
    const WanExpert& expert = experts_[static_cast<size_t>(index)];
    const std::string& name = expert.name;
    const models::WanTransformerConfig& config = expert.config;
    run.note(expert.notices);
    DryStage stage(run, name, run_policy());
    WanTransformer model(config, *expert.quantization);
    checkpoint::ParameterLoader loader;
    expert.quantization->declare_companions(loader);
    const checkpoint::LoadPlan load = stage.load(
        checkpoint::open_transformer_checkpoint(expert.weights).checkpoint, loader, model);
    run.plan.components.back().schemes = count_schemes(model.linears());
    for (const SchemeCount& count : run.plan.components.back().schemes) {
      run.plan.quantized = run.plan.quantized || quantization::quantizes(count.scheme);
    }
    run.add("load_" + name, {{"weights", load.resident},
                             {"reading", load.peak - load.resident},
                             {"solver", stepped ? solver : 0}});
    consider(run.plan.stages.back());

    const Shape input{config.in_channels, latents[1], latents[2], latents[3]};
    run.plan.transformer_tokens = model.token_count(input);
    const DryStep step = dry_step(stage, model, input, two_times, request.guided(index));
    stage.note_kernels();
    consider(run.stage("denoise", {{"weights", load.resident},
                                   {"workspace", step.workspace},
                                   {"text keys and values", step.texts},
                                   {"activations", step.activations},
                                   {"solver", solver}}));
    stepped = true;
  }
  run.plan.stages.push_back(std::move(largest));
}

void WanPipeline::plan_decode(PlanRun& run) const {
  const ResolvedRequest& request = run.plan.request;
  const Shape latents = latent_shape(request);
  DryStage stage(run, "vae", run_policy());
  models::WanVae vae(vae_config_, {.encoder = false, .decoder = true});
  const checkpoint::LoadPlan load = plan_load("vae", checkpoint::Component::kVae, vae, stage);
  run.add("load_vae", {{"weights", load.resident}, {"reading", load.peak - load.resident}});
  const int64_t activations = stage.measure([&] {
    vae.decode(stage.context.tensor(latents),
               {.context = &stage.context, .tiling = vae_tiles(request.vae_tiling)},
               [](const media::FramePart&) {});
  });
  run.add("decode",
          {{"weights", load.resident},
           {"activations", activations},
           {"video", sink_bytes(models::decoded_shape(vae_config_, latents), request.vae_tiling)}});
  stage.note_kernels();
}

MemoryPlan WanPipeline::plan(const GenerateRequest& request) const {
  PlanRun run{.asked = request, .plan = {}};
  run.plan.request = resolve(request);
  run.plan.image = request.image.has_value();
  run.plan.vae_tiling = run.plan.request.vae_tiling;
  run.plan.process_bytes = resident_bytes();
  const auto tokenizer = open_tokenizer(directory_);
  const auto count_tokens = [&](const char* name, const std::string& text, bool known) {
    // A prompt that is empty or not known yet is taken as long as one can be.
    const std::string cleaned = tokenizer::clean_prompt(text);
    PlanRun::Prompt prompt = {.name = name, .tokens = kTextRows, .ids = {}};
    if (known || !cleaned.empty()) prompt.ids = tokenizer.encode(cleaned, kTextRows);
    if (!cleaned.empty()) prompt.tokens = static_cast<int64_t>(prompt.ids.size());
    run.plan.prompt_tokens = std::max(run.plan.prompt_tokens, prompt.tokens);
    run.prompts.push_back(std::move(prompt));
  };
  count_tokens("prompt", run.plan.request.prompt, false);
  if (run.plan.request.use_guidance()) {
    count_tokens("negative_prompt", run.plan.request.negative_prompt, true);
  }
  run.plan.text_bytes = f32_bytes({run.plan.prompt_tokens, text_config_.d_model});
  run.plan.latent_bytes = f32_bytes(latent_shape(run.plan.request));
  run.held = run.plan.latent_bytes;
  plan_text(run);
  plan_condition(run);
  plan_denoise(run);
  plan_decode(run);
  run.count_process();
  return std::move(run.plan);
}

}  // namespace mxvideo::pipeline
