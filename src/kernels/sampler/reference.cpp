// The definitions, bound by memory.
#include <atomic>
#include <cmath>

#include "base/parallel.h"
#include "kernels/sampler/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kGrain = 1 << 14;

float corrected_sample(const UniPcStepArgs& args, int64_t i, float x0) {
  if (!args.correct) return args.x[i];
  const UniPcCoefficients& c = args.corrector;
  const float newer = args.newer_x0[i];
  float residual = c.newer_weight * (x0 - newer);
  if (c.order == 2) {
    residual = c.older_weight * ((args.older_x0[i] - newer) / c.lambda_ratio) + residual;
  }
  const float uncorrected = c.sample_scale * args.last_sample[i] - c.model_scale * newer;
  return uncorrected - c.residual_scale * residual;
}

float predicted_sample(const UniPcCoefficients& p, float sample, float x0, float older_x0) {
  const float next = p.sample_scale * sample - p.model_scale * x0;
  if (p.order != 2) return next;
  return next - p.residual_scale * (p.older_weight * ((older_x0 - x0) / p.lambda_ratio));
}

}  // namespace

void non_finite_reference(const NonFiniteArgs& args) noexcept {
  std::atomic<int32_t> found = 0;
  parallel_for(args.count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (std::isfinite(args.x[i])) continue;
      found = 1;
      return;
    }
  });
  *args.found = found;
}

void guidance_reference(const GuidanceArgs& args) noexcept {
  parallel_for(args.count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float uncond = args.uncond[i];
      args.y[i] = uncond + args.scale * (args.cond[i] - uncond);
    }
  });
}

void unipc_step_reference(const UniPcStepArgs& args) noexcept {
  parallel_for(args.count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float x0 = args.x[i] - args.sigma * args.v[i];
      const float corrected = corrected_sample(args, i, x0);
      const float before = args.newer_x0[i];
      args.last_sample[i] = corrected;
      args.older_x0[i] = before;
      args.newer_x0[i] = x0;
      args.x[i] = predicted_sample(args.predictor, corrected, x0, before);
    }
  });
}

}  // namespace mxvideo::kernels
