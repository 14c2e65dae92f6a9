// Stage: the denoising loop with its experts, guidance, solver and numerics guard.
#pragma once

namespace mxvideo::pipeline {

struct Run;

// Takes the steps that run.solver has not taken yet; run.latents are those of the last one. Between
// steps, and where a step is stopped or fails before it changes the latents, the run is as
// run_state.h saves it. Throws Code::kCancelled, Code::kNumerics naming the layer, and as loading
// an expert.
void denoise(Run& run);

}  // namespace mxvideo::pipeline
