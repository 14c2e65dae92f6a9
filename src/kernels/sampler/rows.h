// The implementations behind the tables of this folder; each does a whole call, on all threads.
#pragma once

#include "kernels/sampler/all_finite.h"
#include "kernels/sampler/guidance.h"
#include "kernels/sampler/unipc_step.h"

namespace mxvideo::kernels {

void all_finite_reference(const AllFiniteArgs& args) noexcept;
void guidance_reference(const GuidanceArgs& args) noexcept;
void unipc_step_reference(const UniPcStepArgs& args) noexcept;

}  // namespace mxvideo::kernels
