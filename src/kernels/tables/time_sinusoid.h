// The sinusoidal embedding of timesteps: for each t a row
//   [cos(t·f_0) … cos(t·f_(h-1)), sin(t·f_0) … sin(t·f_(h-1))],   f_i = e^(-ln(10000)·i/h), h =
//   dim/2
// in fp32 throughout. Source: diffusers' get_timestep_embedding with flip_sin_to_cos and no shift.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct TimeSinusoidArgs {
  std::vector<float> timesteps = {};
  DevicePtr<float> y = nullptr;  // [timesteps, dim]
  int64_t dim = 0;               // even
};

std::span<const Row<TimeSinusoidArgs>> time_sinusoid_rows();
void time_sinusoid(const TimeSinusoidArgs& args, Context& context);
Workload workload(const TimeSinusoidArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
