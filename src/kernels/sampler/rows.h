// The implementations behind the tables of this folder; each does a whole call, on all threads.
#pragma once

#include "kernels/sampler/guidance.h"
#include "kernels/sampler/non_finite.h"
#include "kernels/sampler/unipc_step.h"

namespace mxvideo::kernels {

void non_finite_reference(const NonFiniteArgs& args) noexcept;
void guidance_reference(const GuidanceArgs& args) noexcept;
void unipc_step_reference(const UniPcStepArgs& args) noexcept;

// By CANN, on an Ascend NPU.
void non_finite_ascend(const NonFiniteArgs& args, std::byte* workspace, Context& context);
void guidance_ascend(const GuidanceArgs& args, std::byte* workspace, Context& context);
void unipc_step_ascend(const UniPcStepArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
