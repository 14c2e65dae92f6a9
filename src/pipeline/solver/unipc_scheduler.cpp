#include "pipeline/solver/unipc_scheduler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "kernels/layout/fill.h"

namespace mxvideo::pipeline {
namespace {

using kernels::UniPcCoefficients;

constexpr std::array<std::pair<SigmaGrid, std::string_view>, 3> kGridNames = {
    {{SigmaGrid::kDiffusers, "diffusers"},
     {SigmaGrid::kWan, "wan"},
     {SigmaGrid::kSglang, "sglang"}}};
constexpr double kMinShift = 0.01;
constexpr double kMaxShift = 1000;

double shifted(double shift, double sigma) { return shift * sigma / (1 + (shift - 1) * sigma); }

std::string text_of(double value) {
  std::ostringstream stream;
  stream << value;
  return stream.str();
}

}  // namespace

std::string_view sigma_grid_name(SigmaGrid grid) {
  for (const auto& [value, name] : kGridNames) {
    if (value == grid) return name;
  }
  return "unknown";
}

SigmaGrid parse_sigma_grid(std::string_view name) {
  for (const auto& [value, known] : kGridNames) {
    if (known == name) return value;
  }
  throw Error(
      Code::kInvalidArgument,
      field("sigma_grid") + ": expected diffusers, wan or sglang, got '" + std::string(name) + "'");
}

UniPcScheduler::UniPcScheduler(const SchedulerConfig& config, const SchedulerOptions& options)
    : solver_order_(config.solver_order), disable_corrector_(config.disable_corrector) {
  check(solver_order_ == 1 || solver_order_ == 2, "solver_order is 1 or 2");
  if (options.steps < 1 || options.steps > kMaxSteps) {
    throw Error(Code::kInvalidArgument, "number of steps: expected 1 to " +
                                            std::to_string(kMaxSteps) + ", got " +
                                            std::to_string(options.steps));
  }
  make_grid(config, options);
}

void UniPcScheduler::make_grid(const SchedulerConfig& config, const SchedulerOptions& options) {
  const double shift = options.flow_shift.value_or(config.flow_shift);
  if (!(shift >= kMinShift && shift <= kMaxShift)) {
    throw Error(Code::kInvalidArgument, "flow shift: expected " + text_of(kMinShift) + " to " +
                                            text_of(kMaxShift) + ", got " + text_of(shift));
  }
  const auto train_steps = static_cast<double>(config.num_train_timesteps);
  const bool diffusers = options.grid == SigmaGrid::kDiffusers;
  double start = diffusers ? 1.0 : (train_steps - 1) / train_steps;
  if (options.grid == SigmaGrid::kSglang) start = shifted(shift, start);
  const double stop = diffusers ? 1.0 / train_steps : 0.0;
  const double increment = (stop - start) / static_cast<double>(options.steps);

  constexpr double kBelowOne = 1e-6;  // keeps log(1 - sigma) finite
  for (int64_t i = 0; i < options.steps; ++i) {
    double sigma = shifted(shift, static_cast<double>(i) * increment + start);
    if (i == 0 && std::fabs(sigma - 1) < kBelowOne) sigma -= kBelowOne;
    sigmas_.push_back(static_cast<float>(sigma));
    timesteps_.push_back(static_cast<int64_t>(sigma * train_steps));
  }
  sigmas_.push_back(0.0f);

  const bool decreasing =
      sigmas_.front() < 1 &&
      std::adjacent_find(sigmas_.begin(), sigmas_.end(), std::less_equal<float>()) == sigmas_.end();
  if (!decreasing) {
    throw Error(Code::kInvalidArgument, "flow shift " + text_of(shift) + " with " +
                                            std::to_string(options.steps) +
                                            " steps: sigmas are too close to 1 to tell apart");
  }
}

float UniPcScheduler::lambda(int64_t index) const {
  const float sigma = sigmas_[static_cast<size_t>(index)];
  return std::log(1 - sigma) - std::log(sigma);
}

// From sigma[from] to sigma[from + 1]; weights for the corrector of that transition.
UniPcCoefficients UniPcScheduler::transition(int64_t from, int order) const {
  const float sigma_from = sigmas_[static_cast<size_t>(from)];
  const float sigma_to = sigmas_[static_cast<size_t>(from) + 1];
  const float alpha_to = 1 - sigma_to;
  const float lambda_from = lambda(from);
  const float h = lambda(from + 1) - lambda_from;  // infinite when sigma_to is 0
  const float phi = std::expm1(-h);

  UniPcCoefficients c{.order = order,
                      .sample_scale = sigma_to / sigma_from,
                      .model_scale = alpha_to * phi,
                      .residual_scale = alpha_to * phi,
                      .newer_weight = 0.5f};
  if (order == 1) return c;
  c.lambda_ratio = (lambda(from - 1) - lambda_from) / h;
  // [1 1; ratio 1] (older, newer) = (b1, b2)
  const float phi2 = phi / -h - 1;
  const float b1 = phi2 / phi;
  const float b2 = (phi2 / -h - 0.5f) * 2 / phi;
  c.older_weight = (b1 - b2) / (1 - c.lambda_ratio);
  c.newer_weight = b1 - c.older_weight;
  return c;
}

UniPcCoefficients UniPcScheduler::predictor(int order) const {
  UniPcCoefficients c = transition(step_index_, order);
  c.older_weight = order == 2 ? 0.5f : 0.0f;
  c.newer_weight = 0;
  return c;
}

UniPcCoefficients UniPcScheduler::corrector() const {
  return transition(step_index_ - 1, order_of(step_index_ - 1));
}

bool UniPcScheduler::use_corrector() const {
  return step_index_ > 0 && std::find(disable_corrector_.begin(), disable_corrector_.end(),
                                      step_index_ - 1) == disable_corrector_.end();
}

int UniPcScheduler::order_of(int64_t step) const {
  return static_cast<int>(std::min<int64_t>({solver_order_, steps() - step, step + 1}));
}

void UniPcScheduler::restore(int64_t step_index, std::array<Tensor, kStateTensors> state) {
  check(step_index >= 1 && step_index <= steps(), "a state lies behind a step");
  step_index_ = step_index;
  last_sample_ = std::move(state[0]);
  newer_x0_ = std::move(state[1]);
  older_x0_ = std::move(state[2]);
}

void UniPcScheduler::step(const Tensor& model_output, Tensor* sample, kernels::Context& context) {
  check(step_index_ < steps(), "no step after the last");
  check(model_output.shape() == sample->shape(), "model output and sample have one shape");
  if (step_index_ == 0) {
    for (Tensor* state : {&last_sample_, &newer_x0_, &older_x0_}) {
      // It outlives what the step was given of the context's memory.
      *state = Tensor(DType::kF32, sample->shape(), context.device());
      kernels::fill({.y = *state, .width = state->count()}, context);
    }
  }
  check(last_sample_.shape() == sample->shape(), "one shape for the whole trajectory");

  const bool correct = use_corrector();
  kernels::unipc_step({.v = model_output,
                       .x = *sample,
                       .last_sample = last_sample_,
                       .newer_x0 = newer_x0_,
                       .older_x0 = older_x0_,
                       .count = sample->count(),
                       .sigma = sigmas_[static_cast<size_t>(step_index_)],
                       .correct = correct,
                       .corrector = correct ? corrector() : UniPcCoefficients{},
                       .predictor = predictor(order_of(step_index_))},
                      context);
  ++step_index_;
}

}  // namespace mxvideo::pipeline
