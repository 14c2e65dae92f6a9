// Stage: the denoising loop with its experts, guidance, solver and numerics guard.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/common/context.h"
#include "models/wan_transformer/wan_transformer.h"

namespace mxvideo::pipeline {

struct Run;

// Bytes of working memory while an expert takes steps.
struct StepMemory {
  int64_t total = 0;
  // Of it, what the transformer keeps over all of them, and keys and values of the prompts.
  int64_t workspace = 0;
  int64_t texts = 0;
};
// What the expert `index`, whose transformer is `model`, takes for prompts of so many tokens and a
// step; on a device that does not compute, where the step stands for all that the expert takes.
// `conditioned`: by pictures.
StepMemory plan_step(const Run& run, int index, const models::WanTransformer& model,
                     const std::vector<int64_t>& text_tokens, bool conditioned,
                     kernels::Context& dry);

// Takes the steps that run.solver has not taken yet; run.latents are those of the last one. Between
// steps, and where a step is stopped or fails before it changes the latents, the run is as
// run_state.h saves it. Throws Code::kCancelled, Code::kNumerics naming the layer, and as loading
// an expert.
void denoise(Run& run);

}  // namespace mxvideo::pipeline
