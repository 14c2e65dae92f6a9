// The implementations behind the tables of this folder; each does a whole call, on all threads.
#pragma once

#include "kernels/sampler/guidance.h"
#include "kernels/sampler/non_finite.h"
#include "kernels/sampler/unipc_step.h"

namespace mxvideo::kernels {

void non_finite_reference(const NonFiniteArgs& args) noexcept;
void guidance_reference(const GuidanceArgs& args) noexcept;
void unipc_step_reference(const UniPcStepArgs& args) noexcept;

}  // namespace mxvideo::kernels
