// UniPC multistep solver for flow matching (W. Zhao et al., "UniPC: A Unified Predictor-Corrector
// Framework for Fast Sampling of Diffusion Models", 2023; order 2, B(h) = e^h - 1, data
// prediction), with the numbers of diffusers 0.42.1's UniPCMultistepScheduler: coefficients and
// state in fp32, in its order of operations.
//
// With x = (1 - sigma) x0 + sigma noise and v the model output, x0 = x - sigma v.
// One object runs one trajectory, on the device of its contexts. Not thread-safe; results do not
// depend on the thread count.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/sampler/unipc_step.h"
#include "pipeline/solver/scheduler_config.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

// Which engine's grid of N sigmas; shift(s, x) = s x / (1 + (s - 1) x), T training timesteps:
//   diffusers  shift(s, N points from 1 towards 1/T), the first one lowered by 1e-6 if it is 1
//   wan        shift(s, N points from (T-1)/T towards 0): the original Wan2.2 code
//   sglang     shift(s, N points from shift(s, (T-1)/T) towards 0)
enum class SigmaGrid { kDiffusers, kWan, kSglang };

std::string_view sigma_grid_name(SigmaGrid grid);
// Throws Code::kInvalidArgument listing the names.
SigmaGrid parse_sigma_grid(std::string_view name);

struct SchedulerOptions {
  int64_t steps = 40;
  SigmaGrid grid = SigmaGrid::kDiffusers;
  std::optional<double> flow_shift = {};  // instead of the configuration's
};

class UniPcScheduler {
 public:
  static constexpr int64_t kMaxSteps = 1000;

  // Tensors of a sample's shape that an object keeps.
  static constexpr int64_t kStateTensors = 3;

  // Throws Code::kInvalidArgument when steps or shift are out of range, or so extreme that two
  // sigmas of the grid coincide in fp32.
  UniPcScheduler(const SchedulerConfig& config, const SchedulerOptions& options);

  // One per step, floor(T sigma): what the model is told.
  std::span<const int64_t> timesteps() const { return timesteps_; }
  // One per step and the final 0.
  std::span<const float> sigmas() const { return sigmas_; }
  int64_t steps() const { return static_cast<int64_t>(timesteps_.size()); }
  int64_t step_index() const { return step_index_; }  // of the next step()

  // Takes the model output at timesteps()[step_index()] and replaces `sample` by that of the next
  // sigma. Both F32, of one shape for the whole trajectory; steps() calls at most.
  void step(const Tensor& model_output, Tensor* sample, kernels::Context& context);

  // What step() keeps for the next one, kStateTensors of the sample's shape; empty before the
  // first.
  std::array<const Tensor*, kStateTensors> state() const {
    return {&last_sample_, &newer_x0_, &older_x0_};
  }
  // Goes on as the scheduler, made of the same config and options, that had this state before its
  // step `step_index`, at least 1.
  void restore(int64_t step_index, std::array<Tensor, kStateTensors> state);

 private:
  void make_grid(const SchedulerConfig& config, const SchedulerOptions& options);
  float lambda(int64_t index) const;
  kernels::UniPcCoefficients transition(int64_t from, int order) const;
  kernels::UniPcCoefficients predictor(int order) const;
  kernels::UniPcCoefficients corrector() const;
  bool use_corrector() const;
  int order_of(int64_t step) const;

  int solver_order_;
  std::vector<int64_t> disable_corrector_;
  std::vector<float> sigmas_;
  std::vector<int64_t> timesteps_;
  int64_t step_index_ = 0;
  Tensor last_sample_;  // before the last predictor
  Tensor newer_x0_;     // of the last step
  Tensor older_x0_;     // of the step before
};

}  // namespace mxvideo::pipeline
