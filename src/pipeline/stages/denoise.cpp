#include "pipeline/stages/denoise.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/system/memory_usage.h"
#include "kernels/common/working_memory.h"
#include "kernels/sampler/guidance.h"
#include "pipeline/image_condition.h"
#include "pipeline/numerics_guard.h"
#include "pipeline/run.h"

namespace mxvideo::pipeline {
namespace {

using checkpoint::WanVariant;
using models::WanTextContext;
using models::WanTransformer;
using models::WanTransformerInput;
using models::WanTransformerWorkspace;

// A loaded expert, the activations of its forward passes, and the prompts as it sees them.
struct ActiveExpert {
  int index = -1;
  const char* name = nullptr;
  std::shared_ptr<const Loaded<WanTransformer>> loaded;
  std::unique_ptr<kernels::WorkingMemory> memory;  // of what follows, and of the steps
  std::unique_ptr<WanTransformerWorkspace> workspace;
  WanTextContext text = {};
  WanTextContext negative_text = {};  // no blocks without guidance

  const WanTransformer& model() const { return loaded->model; }
};

WanTextContext encode_text(Run& run, const WanTransformer& model, const Tensor& text,
                           const models::Probe* probe = nullptr) {
  return model.encode_text(
      {.text = &text, .rows = kTextRows, .cancellation = run.hooks.cancellation, .probe = probe},
      run.context);
}

int64_t step_bytes(const Run& run, int index, const WanTransformer& model) {
  kernels::DryContext dry(run.context);
  std::vector<int64_t> tokens = {run.text.dim(0)};
  if (run.request.guided(index)) tokens.push_back(run.negative_text.dim(0));
  return plan_step(run, index, model, tokens, !run.condition.empty(), *dry).total;
}

// Holds at most one expert; asking for the other one releases it first.
class ExpertSlot {
 public:
  explicit ExpertSlot(Run& run) : run_(run) {}

  const ActiveExpert& acquire(int index) {
    if (expert_ && expert_->index == index) return *expert_;
    expert_.reset();
    trim_heap();
    auto loaded = load(index);
    ActiveExpert& expert = expert_.emplace();
    expert.index = index;
    expert.name = run_.engine.experts()[static_cast<size_t>(index)].name.c_str();
    expert.loaded = std::move(loaded);
    expert.memory = std::make_unique<kernels::WorkingMemory>(
        run_.context, step_bytes(run_, index, expert.model()));
    expert.workspace = std::make_unique<WanTransformerWorkspace>(
        expert.model(), run_.engine.latent_shape(run_.request), run_.context);
    expert.text = encode_text(run_, expert.model(), run_.text);
    if (run_.request.guided(index)) {
      expert.negative_text = encode_text(run_, expert.model(), run_.negative_text);
    }
    return expert;
  }

 private:
  std::shared_ptr<const Loaded<WanTransformer>> load(int index) {
    const Engine& engine = run_.engine;
    const Expert& expert = engine.experts()[static_cast<size_t>(index)];
    const std::string phase = "load " + expert.name;
    run_.progress(phase, 0, 1);
    for (const std::string& notice : expert.notices) run_.notice(expert.name + ": " + notice);
    checkpoint::ParameterLoader loader;
    expert.quantization->declare_companions(loader);
    auto loaded = run_.acquire<WanTransformer>(
        engine.residency(), expert.name, expert.name, expert.files, std::move(loader), [&] {
          return std::make_shared<Loaded<WanTransformer>>(expert.config, *expert.quantization);
        });
    ComponentReport& component = run_.report.components.back();
    component.quantization = expert.quantization->name();
    component.declared_in = expert.declared_origin;
    RunReport::add_layers(component, loaded->model.linears(), run_.context);
    run_.progress(phase, 1, 1);
    return loaded;
  }

  Run& run_;
  std::optional<ActiveExpert> expert_;
};

// What both forwards of a step see: latents with their conditioning, timesteps.
struct StepInput {
  Tensor latents;
  std::vector<float> timesteps;
  std::vector<int32_t> token_timestep;
};

StepInput step_input(Run& run, int64_t timestep) {
  StepInput input;
  input.timesteps = {static_cast<float>(timestep)};
  if (run.condition.empty()) {
    input.latents = run.latents.copy_to(run.context.memory());
  } else if (run.engine.variant() == WanVariant::kTI2V) {
    input.latents = run.latents.copy_to(run.context.memory());
    set_first_frame(input.latents, run.condition, run.context);
    // Tokens of the given frame are clean: their timestep is 0.
    input.timesteps.push_back(0.0f);
    const auto& patch = run.engine.experts()[0].config.patch_size;
    const int64_t per_frame = run.latents.dim(2) / patch[1] * (run.latents.dim(3) / patch[2]);
    const int64_t frames = run.latents.dim(1) / patch[0];
    input.token_timestep.assign(static_cast<size_t>(per_frame * frames), 0);
    std::fill_n(input.token_timestep.begin(), per_frame, 1);
  } else {
    input.latents = concat_channels(run.latents, run.condition, run.context);
  }
  return input;
}

// That of the prompt towards the guidance of the expert `index`, where it guides.
void guide(const Run& run, int index, std::vector<Tensor>& velocities, kernels::Context& context) {
  if (velocities.size() < 2) return;
  kernels::guidance({.cond = velocities[0],
                     .uncond = velocities[1],
                     .y = velocities[0],
                     .count = velocities[0].count(),
                     .scale = static_cast<float>(run.request.guidance_of(index))},
                    context);
}

Tensor predict(Run& run, const ActiveExpert& expert, const StepInput& step,
               FunctionRef<void(double part)> progress) {
  WanTransformerInput input{.latents = &step.latents,
                            .timesteps = step.timesteps,
                            .token_timestep = step.token_timestep,
                            .texts = {&expert.text},
                            .cancellation = run.hooks.cancellation,
                            .probe = nullptr,
                            .progress = [&](int64_t done, int64_t total) {
                              progress(static_cast<double>(done) / static_cast<double>(total));
                            }};
  if (run.request.guided(expert.index)) input.texts.push_back(&expert.negative_text);
  std::vector<Tensor> velocities = expert.model().forward(input, *expert.workspace, run.context);
  guide(run, expert.index, velocities, run.context);
  return std::move(velocities[0]);
}

// Called when latents went bad: runs the forwards of the step again, looking at every intermediate.
[[noreturn]] void report_bad_step(Run& run, const ActiveExpert& expert, const StepInput& step,
                                  const std::string& where) {
  const std::pair<const char*, const Tensor*> passes[] = {{"prompt", &run.text},
                                                          {"negative prompt", &run.negative_text}};
  for (const auto& [name, text] : passes) {
    if (text->empty() || (text == &run.negative_text && !run.request.guided(expert.index)))
      continue;
    const FirstNonFinite guard(run.context);
    const WanTextContext context = encode_text(run, expert.model(), *text, &guard.probe());
    const WanTransformerInput input{.latents = &step.latents,
                                    .timesteps = step.timesteps,
                                    .token_timestep = step.token_timestep,
                                    .texts = {&context},
                                    .cancellation = run.hooks.cancellation,
                                    .probe = &guard.probe()};
    expert.model().forward(input, *expert.workspace, run.context);
    if (!guard.name().empty()) {
      throw Error(Code::kNumerics, where + ": latents are not finite; first bad layer: " +
                                       guard.name() + " (forward of the " + name + ")");
    }
  }
  throw Error(Code::kNumerics,
              where +
                  ": latents are not finite although every layer of both forwards is; the "
                  "guidance or the scheduler overflowed");
}

// How many of the steps that are left an expert takes.
double steps_of(const Run& run, int expert) {
  const auto left = run.solver.timesteps().subspan(static_cast<size_t>(run.solver.step_index()));
  return static_cast<double>(std::ranges::count_if(left, [&](int64_t timestep) {
    return run.engine.expert_of(run.request, timestep) == expert;
  }));
}

}  // namespace

StepMemory plan_step(const Run& run, int index, const WanTransformer& model,
                     const std::vector<int64_t>& text_tokens, bool conditioned,
                     kernels::Context& dry) {
  StepMemory result;
  const kernels::WorkingMemory memory(dry);
  const Shape latents = run.engine.latent_shape(run.request);
  const Shape shape{model.config().in_channels, latents[1], latents[2], latents[3]};
  WanTransformerWorkspace workspace(model, latents, dry);
  result.workspace = workspace.bytes();
  std::vector<WanTextContext> texts;
  for (const int64_t tokens : text_tokens) {
    const Tensor text(DType::kF32, {tokens, model.config().text_dim}, dry.device());
    texts.push_back(model.encode_text({.text = &text, .rows = kTextRows}, dry));
    result.texts += texts.back().bytes();
  }
  const kernels::Repeats steps(dry, steps_of(run, index));
  const Tensor input = dry.tensor(shape);
  WanTransformerInput call;
  call.latents = &input;
  call.timesteps = {0};
  if (conditioned && run.engine.variant() == WanVariant::kTI2V) {
    call.timesteps.push_back(0);
    call.token_timestep.assign(static_cast<size_t>(model.token_count(shape)), 0);
  }
  for (const WanTextContext& text : texts) call.texts.push_back(&text);
  std::vector<Tensor> velocities = model.forward(call, workspace, dry);
  const kernels::Layers layers(dry, "sampler");
  guide(run, index, velocities, dry);
  Tensor sample(DType::kF32, latents, dry.device());
  run.engine.make_solver(run.asked, run.request).step(velocities[0], &sample, dry);
  all_finite(sample, dry);
  result.total = memory.arena().extent();
  return result;
}

void denoise(Run& run) {
  const StageTimer timer(run.report, "denoise");
  ExpertSlot experts(run);
  const int64_t total = run.solver.steps();
  int shown_expert = -1;
  for (int64_t i = run.solver.step_index(); i < total; ++i) {
    run.throw_if_cancelled();
    const int64_t timestep = run.solver.timesteps()[static_cast<size_t>(i)];
    const ActiveExpert& expert = experts.acquire(run.engine.expert_of(run.request, timestep));
    if (expert.index != shown_expert) run.progress("denoise", i, total);  // after its load
    shown_expert = expert.index;
    const auto start = std::chrono::steady_clock::now();
    const StepInput step = step_input(run, timestep);
    const auto progress = [&](double part) { run.within("denoise", i, total, part); };
    run.solver.step(predict(run, expert, step, progress), &run.latents, run.context);
    if (!all_finite(run.latents, run.context)) {
      report_bad_step(run, expert, step,
                      "step " + std::to_string(i + 1) + " of " + std::to_string(total) +
                          " (timestep " + std::to_string(timestep) + ", " + expert.name + ")");
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    run.report.steps.push_back({.index = i,
                                .timestep = timestep,
                                .sigma = run.solver.sigmas()[static_cast<size_t>(i)],
                                .expert = expert.name,
                                .seconds = elapsed.count()});
    if (run.hooks.on_step) run.hooks.on_step(i, run.latents);
    run.progress("denoise", i + 1, total);
  }
  // TI2V-5B returns the given frame itself, as the reference does after the loop.
  if (!run.condition.empty() && run.engine.variant() == WanVariant::kTI2V) {
    set_first_frame(run.latents, run.condition, run.context);
  }
}

}  // namespace mxvideo::pipeline
