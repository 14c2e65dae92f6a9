// Classifier-free guidance: y = uncond + scale·(cond - uncond), fp32, three roundings; y may be
// cond or uncond. Source: Ho and Salimans, arXiv 2207.12598, as diffusers' WanPipeline has it.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct GuidanceArgs {
  DevicePtr<const float> cond = nullptr;    // [count]
  DevicePtr<const float> uncond = nullptr;  // [count]
  DevicePtr<float> y = nullptr;             // [count]
  int64_t count = 0;
  float scale = 1;
};

std::span<const Row<GuidanceArgs>> guidance_rows();
void guidance(const GuidanceArgs& args, Context& context);
Workload workload(const GuidanceArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
