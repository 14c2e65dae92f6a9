// WanPipeline::plan(): the stages of generate() in the order in which they run, with what each one
// holds. What a model needs is the model's own answer.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/system/memory_usage.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/key_map.h"
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

std::vector<std::pair<std::string, std::string>> rows_of(const kernels::Context& context) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& [choice, calls] : context.choices) rows.push_back(choice);
  return rows;
}

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

  template <class Model>
  checkpoint::LoadPlan load(const std::string& name, const checkpoint::Checkpoint& files,
                            checkpoint::ParameterLoader& loader, Model& model) {
    model.declare_parameters(loader);
    const checkpoint::LoadPlan result = loader.plan(files);
    plan.components.push_back({.name = name,
                               .checkpoint_bytes = result.checkpoint_bytes,
                               .weight_bytes = result.resident,
                               .schemes = {}});
    return result;
  }
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
  void note(std::string component, std::string layers, const kernels::Context& context) {
    plan.kernels.push_back({.component = std::move(component),
                            .layers = std::move(layers),
                            .kernels = rows_of(context)});
  }
};

template <class Model>
checkpoint::LoadPlan WanPipeline::plan_load(const std::string& name,
                                            checkpoint::Component component, Model& model,
                                            PlanRun& run) const {
  checkpoint::Checkpoint files = checkpoint::Checkpoint::open_directory(directory_.path(name));
  checkpoint::normalize_names(files, component);
  run.note(files.notices());
  checkpoint::ParameterLoader loader;
  return run.load(name, files, loader, model);
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
    run.held += f32_bytes({kTextRows, text_config_.d_model});
  }
  run.add("read_text_cache", {{"activations", 2 * file}});
}

void WanPipeline::plan_text(PlanRun& run) const {
  plan_text_cache(run);
  if (std::ranges::all_of(run.prompts, &PlanRun::Prompt::cached)) return;
  models::Umt5Encoder encoder = make_text_encoder();
  const checkpoint::LoadPlan load =
      plan_load("text_encoder", checkpoint::Component::kTextEncoder, encoder, run);
  if (options_.text_quantization != "none") {
    run.plan.components.back().schemes = count_schemes(encoder.linears());
  }
  run.add("load_text_encoder",
          {{"weights", load.resident}, {"reading", load.peak - load.resident}});
  kernels::warm_up();
  kernels::Context context = make_context();
  const int64_t padded = f32_bytes({kTextRows, text_config_.d_model});
  int64_t peak = 0, encoded_bytes = 0;
  for (const PlanRun::Prompt& prompt : run.prompts) {
    if (prompt.cached) continue;
    MemoryTrace trace;
    {
      const PlannedTensor encoded = encoder.plan_encode(prompt.tokens, context, trace);
      trace.pass(padded);
    }
    peak = std::max(peak, trace.peak() + encoded_bytes);
    encoded_bytes += padded;
  }
  run.add("encode_prompt", {{"weights", load.resident}, {"activations", peak}});
  run.note("text_encoder", "all layers", context);
  run.held += encoded_bytes;
}

void WanPipeline::plan_condition(PlanRun& run) const {
  if (!run.asked.image) return;
  const ResolvedRequest& request = run.plan.request;
  const bool ti2v = directory_.variant == WanVariant::kTI2V;
  models::WanVae vae(vae_config_, {.encoder = true, .decoder = false});
  const int64_t picture = f32_bytes({3, request.height, request.width});
  const int64_t pictures = run.asked.last_image ? 2 * picture : picture;
  const checkpoint::LoadPlan load = plan_load("vae", checkpoint::Component::kVae, vae, run);
  run.add("load_vae",
          {{"weights", load.resident}, {"reading", load.peak - load.resident}, {"image", picture}});
  const Shape video{ti2v ? 1 : request.num_frames, request.height, request.width, 3};
  kernels::Context context = make_context();
  MemoryTrace trace;
  vae.plan_encode(video,
                  {.context = &context, .trace = &trace, .tiling = vae_tiles(request.vae_tiling)});
  run.add("encode_image", {{"weights", load.resident},
                           {"activations", trace.peak() - load.resident},
                           {"video", f32_bytes(video)},
                           {"image", pictures}});
  run.note("vae", "encoder", context);
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
    WanTransformer model(config, *expert.quantization);
    checkpoint::ParameterLoader loader;
    expert.quantization->declare_companions(loader);
    const checkpoint::LoadPlan load = run.load(
        name, checkpoint::open_transformer_checkpoint(expert.weights).checkpoint, loader, model);
    run.plan.components.back().schemes = count_schemes(model.linears());
    for (const SchemeCount& count : run.plan.components.back().schemes) {
      run.plan.quantized = run.plan.quantized || count.scheme != "none";
    }
    run.add("load_" + name, {{"weights", load.resident},
                             {"reading", load.peak - load.resident},
                             {"solver", stepped ? solver : 0}});
    consider(run.plan.stages.back());

    const Shape input{config.in_channels, latents[1], latents[2], latents[3]};
    run.plan.transformer_tokens = model.token_count(input);
    MemoryTrace trace;
    models::LayerKernels kernels;
    for (const char* layers : models::kLayerClasses) {
      kernels[layers] = make_context();
    }
    std::vector<PlannedTensor> texts;
    std::vector<int64_t> text_rows;  // the prompt's and one of padding
    for (const PlanRun::Prompt& prompt : run.prompts) {
      if (!text_rows.empty() && !request.guided(index)) break;  // the negative prompt
      text_rows.push_back(std::min(prompt.tokens + 1, kTextRows));
      texts.push_back(model.plan_text(text_rows.back(), trace, kernels));
    }
    const int64_t text_bytes = trace.live();
    {
      const PlannedTensor step(trace, input);
      const models::WanTransformerPlanInput forward{
          .latents = input, .time_rows = two_times ? 2 : 1, .text_rows = text_rows};
      model.plan_forward(forward, trace, kernels);
    }
    for (const auto& [layers, context] : kernels) run.note(name, layers, context);
    const int64_t workspace = WanTransformerWorkspace::planned_bytes(model, input);
    consider(run.stage("denoise", {{"weights", load.resident},
                                   {"workspace", workspace},
                                   {"text keys and values", text_bytes},
                                   {"activations", trace.peak() - text_bytes},
                                   {"solver", solver}}));
    stepped = true;
  }
  run.plan.stages.push_back(std::move(largest));
}

void WanPipeline::plan_decode(PlanRun& run) const {
  const ResolvedRequest& request = run.plan.request;
  const Shape latents = latent_shape(request);
  models::WanVae vae(vae_config_, {.encoder = false, .decoder = true});
  const checkpoint::LoadPlan load = plan_load("vae", checkpoint::Component::kVae, vae, run);
  run.add("load_vae", {{"weights", load.resident}, {"reading", load.peak - load.resident}});
  kernels::Context context = make_context();
  MemoryTrace trace;
  vae.plan_decode(latents,
                  {.context = &context, .trace = &trace, .tiling = vae_tiles(request.vae_tiling)});
  run.add("decode",
          {{"weights", load.resident},
           {"activations", trace.peak() - load.resident + f32_bytes(latents)},
           {"video", sink_bytes(models::decoded_shape(vae_config_, latents), request.vae_tiling)}});
  run.note("vae", "decoder", context);
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
  run.plan.text_bytes = f32_bytes({kTextRows, text_config_.d_model});
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
