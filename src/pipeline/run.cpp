#include "pipeline/run.h"

#include "base/error.h"
#include "base/system/memory_usage.h"
#include "base/text/field.h"
#include "pipeline/solver/torch_random.h"
#include "pipeline/stages/condition.h"
#include "pipeline/stages/decode.h"
#include "pipeline/stages/denoise.h"

namespace mxvideo::pipeline {
namespace {

Tensor initial_latents(const Run& run) {
  const Shape shape = run.engine.latent_shape(run.request);
  if (!run.asked.initial_noise) {
    return TorchGenerator(run.request.seed).randn(shape).copy_to(run.context.device());
  }
  if (run.asked.initial_noise->shape() != shape) {
    throw Error(Code::kInvalidArgument, field("latents") + ": expected shape " + shape.to_string() +
                                            " for this request, got " +
                                            run.asked.initial_noise->shape().to_string());
  }
  return run.asked.initial_noise->copy_to(run.context.device());
}

}  // namespace

Run::Run(const Engine& model, const GenerateRequest& wanted, RunHooks watch)
    : StageContext{.hooks = std::move(watch), .context = model.make_context()},
      engine(model),
      asked(wanted),
      request(model.resolve(wanted)),
      solver(model.make_solver(wanted, request)) {}

const std::vector<Prompt>& Run::prompts() {
  if (!prompts_) prompts_ = tokenize(engine, request);
  return *prompts_;
}

void generate(Run& run) {
  reset_peak_resident_bytes();
  for (const std::string& line : run.asked.notices) run.notice(line);
  for (const std::string& line : run.request.notices) run.notice(line);
  if (run.latents.empty()) run.latents = initial_latents(run);
  // Small tensors of a stage's weights come from the heap, which keeps what they leave.
  if (run.solver.step_index() < run.solver.steps()) encode_prompts(run);
  trim_heap();
  encode_condition(run);
  trim_heap();
  denoise(run);
  trim_heap();
  if (run.hooks.on_latents) run.hooks.on_latents(*OnHost(run.latents));
  decode(run);
}

}  // namespace mxvideo::pipeline
