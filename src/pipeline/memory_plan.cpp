// plan_run(): the stages of generate() in the order in which they run, with what each one
// holds. What a model needs is what its forward pass takes of a device that computes nothing.
#include "pipeline/memory_plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/parallel.h"
#include "base/system/memory_usage.h"
#include "checkpoint/checkpoint.h"
#include "device/dry_device.h"
#include "estimate/load_work.h"
#include "kernels/common/working_memory.h"
#include "kernels/warm_up.h"
#include "pipeline/run.h"
#include "pipeline/stages/condition.h"
#include "pipeline/stages/decode.h"
#include "pipeline/stages/denoise.h"

namespace mxvideo::pipeline {
namespace {

using checkpoint::WanVariant;
using models::WanTransformer;

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

// What convolutions and products leave in the process for as long as it lives: code that oneDNN
// generates for their shapes, working memory of each thread. 6 to 8 MB were measured with two
// threads (e2e_plan_test, 2026-11-29).
int64_t left_by_products() { return (int64_t{4} + num_threads()) << 20; }

// The plan on its way, and what the stages so far have left in memory.
struct Planner {
  Run& job;
  MemoryPlan plan;
  struct Text {
    const Prompt* prompt = nullptr;
    int64_t tokens = 0;   // a prompt that is not known yet is taken as long as one can be
    bool cached = false;  // its embedding is read instead of computed
  };
  estimate::WorkLog work = {};
  std::vector<Text> texts = {};
  int64_t held = 0;  // latents, encoded prompts, condition
  int64_t condition_bytes = 0;

  // What the process holds besides. A run makes this plan before its first stage, so every stage
  // has all that planning loaded and generated.
  void count_process() {
    const int64_t bytes = resident_bytes();
    bool computed = false;  // by convolutions and large products
    for (StagePlan& stage : plan.stages) {
      computed = computed || stage.name == "encode_image" || stage.name == "denoise" ||
                 stage.name == "load_transformer_2" || stage.name == "decode";
      stage.parts.push_back({.name = "process", .bytes = bytes});
      if (computed)
        stage.parts.push_back({.name = "code and threads", .bytes = left_by_products()});
    }
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

std::vector<const quantization::LinearMethod*> linears_of(const models::WanVae& /*vae*/) {
  return {};
}
std::vector<const quantization::LinearMethod*> linears_of(const auto& model) {
  return model.linears();
}

// A component on a device of its own that computes nothing.
struct DryStage {
  Planner& run;
  std::string component;
  DryDevice device;
  kernels::Context context;

  DryStage(Planner& planner, std::string name)
      : run(planner),
        component(std::move(name)),
        device(planner.job.context.device()),
        context(planner.job.engine.options().policy, device) {}

  template <class Model>
  checkpoint::LoadPlan load(const checkpoint::Checkpoint& files, Model& model,
                            checkpoint::ParameterLoader loader = {}) {
    model.declare_parameters(loader);
    const checkpoint::LoadPlan result = loader.load_dry(files, context);
    run.plan.components.push_back({.name = component,
                                   .checkpoint_bytes = result.checkpoint_bytes,
                                   .weight_bytes = result.resident,
                                   .schemes = {}});
    note_load(result.checkpoint_bytes, linears_of(model));
    return result;
  }
  // Layers that are stored wider than they are kept are quantized on the way.
  void note_load(int64_t bytes, const std::vector<const quantization::LinearMethod*>& linears) {
    int64_t quantized = 0;
    for (const quantization::LinearMethod* linear : linears) {
      const bool narrows = linear->checkpoint_bytes() * 2 > linear->weight_bytes() * 3;
      if (narrows && quantization::quantizes(linear->scheme())) {
        quantized += linear->checkpoint_bytes();
      }
    }
    const std::string phase = "load_" + component;
    const formats::MxOptions options =
        quantization::mx_options(run.job.engine.options().quantization);
    run.work.add(phase, estimate::plain_load(static_cast<double>(bytes - quantized)));
    if (quantized == 0) return;
    run.work.add(phase, estimate::quantized_load(static_cast<double>(quantized), options));
  }
  // What is called from now on belongs to this phase.
  void begin(const std::string& phase) { run.work.listen(context, phase); }
  // Working memory of `work`, and most that it takes of the device besides.
  template <class Work>
  int64_t measure(const Work& work) {
    const kernels::WorkingMemory memory(context);
    const int64_t start = device.allocated_bytes();
    device.reset_peak_allocated_bytes();
    work();
    return memory.arena().extent() + device.peak_allocated_bytes() - start;
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

// An empty prompt is one that is not known yet; an empty negative prompt is what it is.
bool unknown(const Prompt& prompt) {
  return prompt.empty && prompt.name == std::string_view("prompt");
}

// Marks the prompts that are in the cache.
void plan_text_cache(Planner& run) {
  const std::optional<TextCache> cache = open_text_cache(run.job.engine);
  if (!cache) return;
  const int64_t width = run.job.engine.text_config().d_model;
  TextCacheReport& report = run.plan.text_cache;
  report.directory = cache->directory().string();
  int64_t file = 0;  // the largest, in memory while it is read
  for (Planner::Text& text : run.texts) {
    text.cached = !unknown(*text.prompt) && cache->find(text.prompt->ids).rows.has_value();
    report.prompts.emplace_back(text.prompt->name, text.cached ? "hit" : "miss");
    if (!text.cached) continue;
    file = std::max(file, f32_bytes({text.tokens, width}));
    run.held += f32_bytes({text.tokens, width});
  }
  run.add("read_text_cache", {{"activations", 2 * file}});
}

void plan_text(Planner& run) {
  const Engine& engine = run.job.engine;
  plan_text_cache(run);
  if (std::ranges::all_of(run.texts, &Planner::Text::cached)) return;
  DryStage stage(run, "text_encoder");
  models::Umt5Encoder encoder = engine.make_text_encoder();
  run.note(engine.text_files().notices());
  const checkpoint::LoadPlan load = stage.load(engine.text_files(), encoder);
  if (quantization::quantizes(engine.options().text_quantization)) {
    run.plan.components.back().schemes = count_schemes(encoder.linears());
  }
  run.add("load_text_encoder",
          {{"weights", load.resident}, {"reading", load.peak - load.resident}});
  kernels::warm_up();
  int64_t encoded = 0;
  stage.begin("encode_prompt");
  const int64_t peak = stage.measure([&] {
    const kernels::Layers layers(stage.context, "all layers");
    for (const Planner::Text& text : run.texts) {
      if (text.cached) continue;
      const std::vector<int32_t> ids(static_cast<size_t>(text.tokens));
      encoded += encoder.encode(ids, stage.context).bytes();
    }
  });
  run.held += encoded;
  run.add("encode_prompt", {{"weights", load.resident}, {"activations", peak}});
  stage.note_kernels();
}

void plan_condition(Planner& run) {
  const Engine& engine = run.job.engine;
  if (!run.job.asked.image) return;
  const ResolvedRequest& request = run.plan.request;
  const bool ti2v = engine.variant() == WanVariant::kTI2V;
  const int64_t picture = f32_bytes({3, request.height, request.width});
  const int64_t pictures = run.job.asked.last_image ? 2 * picture : picture;
  DryStage stage(run, "vae");
  models::WanVae vae(engine.vae_config(), {.encoder = true, .decoder = false});
  run.note(engine.vae_files().notices());
  const checkpoint::LoadPlan load = stage.load(engine.vae_files(), vae);
  run.add("load_vae",
          {{"weights", load.resident}, {"reading", load.peak - load.resident}, {"image", picture}});
  const Shape video{ti2v ? 1 : request.num_frames, request.height, request.width, 3};
  const Tensor pixels(DType::kF32, video, stage.device);
  stage.begin("encode_image");
  const int64_t activations = stage.measure([&] {
    run.condition_bytes =
        make_condition(engine, request, vae,
                       {.frames = &pixels, .last_is_given = run.job.asked.last_image.has_value()},
                       {.context = &stage.context, .tiling = vae_tiles(request.vae_tiling)})
            .bytes();
  });
  run.add("encode_image", {{"weights", load.resident},
                           {"activations", activations},
                           {"video", f32_bytes(video)},
                           {"image", pictures}});
  stage.note_kernels();
  run.held += run.condition_bytes;
}

// Which experts the steps use.
std::vector<int> planned_experts(const Run& run) {
  std::vector<int> experts;
  for (const int64_t timestep : run.solver.timesteps()) {
    const int expert = run.engine.expert_of(run.request, timestep);
    if (experts.empty() || experts.back() != expert) experts.push_back(expert);
  }
  return experts;
}

void plan_denoise(Planner& run) {
  const Engine& engine = run.job.engine;
  const ResolvedRequest& request = run.plan.request;
  const Shape latents = engine.latent_shape(request);
  const int64_t solver = UniPcScheduler::kStateTensors * f32_bytes(latents);
  bool stepped = false;  // the solver has its state from the first step on
  StagePlan largest;
  const auto consider = [&](const StagePlan& stage) {
    if (stage.bytes() > largest.bytes()) largest = {.name = "denoise", .parts = stage.parts};
  };
  for (const int index : planned_experts(run.job)) {
    const Expert& expert = engine.experts()[static_cast<size_t>(index)];
    const std::string& name = expert.name;
    const models::WanTransformerConfig& config = expert.config;
    run.note(expert.notices);
    DryStage stage(run, name);
    WanTransformer model(config, *expert.quantization);
    checkpoint::ParameterLoader loader;
    expert.quantization->declare_companions(loader);
    const checkpoint::LoadPlan load = stage.load(expert.files, model, std::move(loader));
    run.plan.components.back().schemes = count_schemes(model.linears());
    for (const SchemeCount& count : run.plan.components.back().schemes) {
      run.plan.quantized = run.plan.quantized || quantization::quantizes(count.scheme);
    }
    run.add("load_" + name, {{"weights", load.resident},
                             {"reading", load.peak - load.resident},
                             {"solver", stepped ? solver : 0}});
    consider(run.plan.stages.back());

    run.plan.transformer_tokens =
        model.token_count({config.in_channels, latents[1], latents[2], latents[3]});
    std::vector<int64_t> tokens;
    for (const Planner::Text& text : run.texts) {
      if (!tokens.empty() && !request.guided(index)) break;  // the negative prompt
      tokens.push_back(text.tokens);
    }
    stage.begin("denoise");
    const StepMemory step =
        plan_step(run.job, index, model, tokens, run.condition_bytes > 0, stage.context);
    stage.note_kernels();
    consider(run.stage("denoise", {{"weights", load.resident},
                                   {"workspace", step.workspace},
                                   {"text keys and values", step.texts},
                                   {"activations", step.total - step.workspace - step.texts},
                                   {"solver", solver}}));
    stepped = true;
  }
  run.plan.stages.push_back(std::move(largest));
}

void plan_decode(Planner& run) {
  const Engine& engine = run.job.engine;
  const ResolvedRequest& request = run.plan.request;
  const Shape latents = engine.latent_shape(request);
  DryStage stage(run, "vae");
  models::WanVae vae(engine.vae_config(), {.encoder = false, .decoder = true});
  run.note(engine.vae_files().notices());
  const checkpoint::LoadPlan load = stage.load(engine.vae_files(), vae);
  run.add("load_vae", {{"weights", load.resident}, {"reading", load.peak - load.resident}});
  stage.begin("decode");
  const int64_t activations = stage.measure([&] {
    decode_frames(engine.vae_config(), vae, Tensor(DType::kF32, latents, stage.device),
                  {.context = &stage.context, .tiling = vae_tiles(request.vae_tiling)},
                  [](const media::FramePart&) {});
  });
  run.add("decode", {{"weights", load.resident},
                     {"activations", activations},
                     {"video", sink_bytes(models::decoded_shape(engine.vae_config(), latents),
                                          request.vae_tiling)}});
  stage.note_kernels();
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

MemoryPlan plan_run(Run& run) {
  Planner planner{.job = run, .plan = {}};
  MemoryPlan& plan = planner.plan;
  plan.request = run.request;
  plan.image = run.asked.image.has_value();
  plan.vae_tiling = run.request.vae_tiling;
  plan.process_bytes = resident_bytes();
  for (const Prompt& prompt : run.prompts()) {
    const int64_t tokens = prompt.empty ? kTextRows : std::ssize(prompt.ids);
    planner.texts.push_back({.prompt = &prompt, .tokens = tokens});
    plan.prompt_tokens = std::max(plan.prompt_tokens, tokens);
  }
  plan.text_bytes = f32_bytes({plan.prompt_tokens, run.engine.text_config().d_model});
  plan.latent_bytes = f32_bytes(run.engine.latent_shape(run.request));
  planner.held = plan.latent_bytes;
  plan_text(planner);
  plan_condition(planner);
  plan_denoise(planner);
  plan_decode(planner);
  planner.count_process();
  plan.work = planner.work.phases();
  return std::move(planner.plan);
}

}  // namespace mxvideo::pipeline
