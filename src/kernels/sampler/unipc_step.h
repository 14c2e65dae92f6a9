// One step of the UniPC solver over a sample, all of it in one pass. With v the model's output, m
// and m' the x0 of the last step and of the one before, and s the sample before the last predictor:
//   x0   = x - sigma·v
//   x_c  = sample_scale·s - model_scale·m - residual_scale·r_c                    (corrector)
//     r_c = newer_weight·(x0 - m), of order 2 + older_weight·((m' - m) / lambda_ratio)
//   next = sample_scale·x_c - model_scale·x0 - residual_scale·r_p                 (predictor)
//     r_p = older_weight·((m - x0) / lambda_ratio), of order 2 only
// fp32, a rounding for each operation, in the order of diffusers 0.42.1's UniPCMultistepScheduler;
// without a corrector x_c = x. Then x is next, s is x_c, m is x0 and m' what m was. Where the
// coefficients come from: pipeline/unipc_scheduler.h.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct UniPcCoefficients {
  int order = 1;  // 1 or 2
  float sample_scale = 0;
  float model_scale = 0;
  float residual_scale = 0;
  float lambda_ratio = 1;
  float older_weight = 0;
  float newer_weight = 0;  // corrector only
};

struct UniPcStepArgs {
  DevicePtr<const float> v = nullptr;      // [count] model output
  DevicePtr<float> x = nullptr;            // [count] sample, in and out
  DevicePtr<float> last_sample = nullptr;  // [count] s, in and out
  DevicePtr<float> newer_x0 = nullptr;     // [count] m, in and out
  DevicePtr<float> older_x0 = nullptr;     // [count] m', in and out
  int64_t count = 0;
  float sigma = 0;
  bool correct = false;
  UniPcCoefficients corrector = {};
  UniPcCoefficients predictor = {};
};

std::span<const Row<UniPcStepArgs>> unipc_step_rows();
void unipc_step(const UniPcStepArgs& args, Context& context);
Workload workload(const UniPcStepArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
