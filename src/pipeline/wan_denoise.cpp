// The denoising loop of WanPipeline: experts, guidance, scheduler, numerics guard.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <sstream>

#include "base/error.h"
#include "base/system/memory_usage.h"
#include "kernels/sampler/guidance.h"
#include "pipeline/image_condition.h"
#include "pipeline/numerics_guard.h"
#include "pipeline/unipc_scheduler.h"
#include "pipeline/wan_run.h"

namespace mxvideo::pipeline {
namespace {

using checkpoint::WanVariant;
using models::WanTextContext;
using models::WanTransformer;
using models::WanTransformerInput;
using models::WanTransformerWorkspace;

}  // namespace

// A loaded expert, the activations of its forward passes, and the prompts as it sees them.
struct WanPipeline::LoadedExpert {
  int index = -1;
  const char* name = nullptr;
  std::unique_ptr<WanTransformer> model;
  std::unique_ptr<WanTransformerWorkspace> workspace;
  WanTextContext text = {};
  WanTextContext negative_text = {};  // no blocks without guidance
};

// Holds at most one expert; asking for the other one releases it first.
class WanPipeline::ExpertSlot {
 public:
  ExpertSlot(const WanPipeline& pipeline, WanRun& run) : pipeline_(pipeline), run_(run) {}

  const LoadedExpert& acquire(int index) {
    if (expert_.index == index) return expert_;
    expert_ = {};
    trim_heap();
    load(index);
    expert_.text = encode(run_.text);
    if (run_.request.guided(index)) expert_.negative_text = encode(run_.negative_text);
    return expert_;
  }

 private:
  void load(int index) {
    const WanExpert& expert = pipeline_.experts_[static_cast<size_t>(index)];
    const std::string phase = "load " + expert.name;
    const StageTimer stage(run_.report, "load_" + expert.name);
    run_.progress(phase, 0, 1);
    for (const std::string& notice : expert.notices) run_.notice(expert.name + ": " + notice);
    auto model = std::make_unique<WanTransformer>(expert.config, *expert.quantization);
    checkpoint::TransformerCheckpoint files =
        checkpoint::open_transformer_checkpoint(expert.weights);
    checkpoint::ParameterLoader loader;
    expert.quantization->declare_companions(loader);
    ComponentReport& component = run_.load_component(expert.name, files.checkpoint, loader, *model);
    component.quantization = expert.quantization->name();
    component.declared_in = expert.declared_origin;
    RunReport::add_layers(component, model->linears(), run_.context);
    auto workspace = std::make_unique<WanTransformerWorkspace>(
        *model, pipeline_.latent_shape(run_.request), run_.context);
    expert_ = {.index = index,
               .name = expert.name.c_str(),
               .model = std::move(model),
               .workspace = std::move(workspace)};
    run_.progress(phase, 1, 1);
  }

  WanTextContext encode(const Tensor& text) {
    return expert_.model->encode_text({.text = &text,
                                       .rows = kTextRows,
                                       .cancellation = run_.hooks.cancellation,
                                       .probe = nullptr},
                                      run_.context);
  }

  const WanPipeline& pipeline_;
  WanRun& run_;
  LoadedExpert expert_;
};

// What both forwards of a step see: latents with their conditioning, timesteps.
struct WanPipeline::StepInput {
  Tensor latents;
  std::vector<float> timesteps;
  std::vector<int32_t> token_timestep;
};

WanPipeline::StepInput WanPipeline::step_input(WanRun& run, int64_t timestep) const {
  StepInput input;
  input.timesteps = {static_cast<float>(timestep)};
  if (run.condition.empty()) {
    input.latents = run.latents.clone();
  } else if (directory_.variant == WanVariant::kTI2V) {
    input.latents = run.latents.clone();
    set_first_frame(input.latents, run.condition, run.context);
    // Tokens of the given frame are clean: their timestep is 0.
    input.timesteps.push_back(0.0f);
    const auto& patch = transformer_config().patch_size;
    const int64_t per_frame = run.latents.dim(2) / patch[1] * (run.latents.dim(3) / patch[2]);
    const int64_t frames = run.latents.dim(1) / patch[0];
    input.token_timestep.assign(static_cast<size_t>(per_frame * frames), 0);
    std::fill_n(input.token_timestep.begin(), per_frame, 1);
  } else {
    input.latents = concat_channels(run.latents, run.condition, run.context);
  }
  return input;
}

Tensor WanPipeline::predict(WanRun& run, const LoadedExpert& expert, const StepInput& step,
                            FunctionRef<void(double part)> progress) const {
  WanTransformerInput input{.latents = &step.latents,
                            .timesteps = step.timesteps,
                            .token_timestep = step.token_timestep,
                            .texts = {&expert.text},
                            .cancellation = run.hooks.cancellation,
                            .probe = nullptr,
                            .progress = [&](int64_t done, int64_t total) {
                              progress(static_cast<double>(done) / static_cast<double>(total));
                            }};
  const bool guided = run.request.guided(expert.index);
  if (guided) input.texts.push_back(&expert.negative_text);
  std::vector<Tensor> velocities = expert.model->forward(input, *expert.workspace, run.context);
  if (guided) {
    kernels::guidance({.cond = velocities[0],
                       .uncond = velocities[1],
                       .y = velocities[0],
                       .count = velocities[0].count(),
                       .scale = static_cast<float>(run.request.guidance_of(expert.index))},
                      run.context);
  }
  return std::move(velocities[0]);
}

// Called when latents went bad: runs the forwards of the step again, looking at every intermediate.
void WanPipeline::report_bad_step(WanRun& run, const LoadedExpert& expert, const StepInput& step,
                                  const std::string& where) const {
  const std::pair<const char*, const Tensor*> passes[] = {{"prompt", &run.text},
                                                          {"negative prompt", &run.negative_text}};
  for (const auto& [name, text] : passes) {
    if (text->empty() || (text == &run.negative_text && !run.request.guided(expert.index)))
      continue;
    const FirstNonFinite guard(run.context);
    const WanTextContext context =
        expert.model->encode_text({.text = text,
                                   .rows = kTextRows,
                                   .cancellation = run.hooks.cancellation,
                                   .probe = &guard.probe()},
                                  run.context);
    const WanTransformerInput input{.latents = &step.latents,
                                    .timesteps = step.timesteps,
                                    .token_timestep = step.token_timestep,
                                    .texts = {&context},
                                    .cancellation = run.hooks.cancellation,
                                    .probe = &guard.probe()};
    expert.model->forward(input, *expert.workspace, run.context);
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

int WanPipeline::expert_of(const ResolvedRequest& request, int64_t timestep) const {
  const double boundary =
      request.boundary_ratio * static_cast<double>(scheduler_config_.num_train_timesteps);
  return has_two_experts() && static_cast<double>(timestep) < boundary ? 1 : 0;
}

// Also says what, of all that was asked for, these steps leave without effect.
void WanPipeline::count_expert_steps(const GenerateRequest& request,
                                     ResolvedRequest& resolved) const {
  const UniPcScheduler scheduler(scheduler_config_, {.steps = resolved.num_inference_steps,
                                                     .grid = request.sigma_grid,
                                                     .flow_shift = resolved.flow_shift});
  for (const int64_t timestep : scheduler.timesteps()) {
    ++resolved.expert_steps[static_cast<size_t>(expert_of(resolved, timestep))];
  }
  for (size_t i = 0; i < experts_.size(); ++i) {
    if (resolved.expert_steps[i] > 0) continue;
    std::ostringstream line;
    line << experts_[i].name
         << (i == 0 ? ", the expert for high noise," : ", the expert for low noise,")
         << " takes none of the " << scheduler.steps() << " steps: no timestep is "
         << (i == 0 ? "at or above " : "below ") << "the boundary "
         << resolved.boundary_ratio * static_cast<double>(scheduler_config_.num_train_timesteps)
         << "; it is not loaded, and its guidance scale means nothing";
    resolved.notices.push_back(line.str());
  }
  if (request.negative_prompt && !request.negative_prompt->empty() && !resolved.use_guidance()) {
    resolved.notices.emplace_back(
        "the negative prompt changes nothing: no step has a guidance scale above 1");
  }
}

void WanPipeline::denoise(WanRun& run) const {
  UniPcScheduler scheduler(scheduler_config_, {.steps = run.request.num_inference_steps,
                                               .grid = run.asked.sigma_grid,
                                               .flow_shift = run.request.flow_shift});
  const StageTimer timer(run.report, "denoise");
  ExpertSlot experts(*this, run);
  const int64_t total = scheduler.steps();
  int shown_expert = -1;
  for (int64_t i = 0; i < total; ++i) {
    run.throw_if_cancelled();
    const int64_t timestep = scheduler.timesteps()[static_cast<size_t>(i)];
    const LoadedExpert& expert = experts.acquire(expert_of(run.request, timestep));
    if (expert.index != shown_expert) run.progress("denoise", i, total);  // after its load
    shown_expert = expert.index;
    const auto start = std::chrono::steady_clock::now();
    const StepInput step = step_input(run, timestep);
    const auto progress = [&](double part) { run.within("denoise", i, total, part); };
    scheduler.step(predict(run, expert, step, progress), &run.latents, run.context);
    if (!all_finite(run.latents, run.context)) {
      report_bad_step(run, expert, step,
                      "step " + std::to_string(i + 1) + " of " + std::to_string(total) +
                          " (timestep " + std::to_string(timestep) + ", " + expert.name + ")");
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    run.report.steps.push_back({.index = i,
                                .timestep = timestep,
                                .sigma = scheduler.sigmas()[static_cast<size_t>(i)],
                                .expert = expert.name,
                                .seconds = elapsed.count()});
    if (run.hooks.on_step) run.hooks.on_step(i, run.latents.copy_to(cpu_device()));
    run.progress("denoise", i + 1, total);
  }
  // TI2V-5B returns the given frame itself, as the reference does after the loop.
  if (!run.condition.empty() && directory_.variant == WanVariant::kTI2V) {
    set_first_frame(run.latents, run.condition, run.context);
  }
}

}  // namespace mxvideo::pipeline
