#include "pipeline/solver/unipc_scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::pipeline {
namespace {

SchedulerConfig config_with_shift(double shift) { return {.flow_shift = shift}; }

TEST(UniPcScheduler, GridsOfThreeEngines) {
  std::ifstream stream(test::golden_path("scheduler/sigmas.json"));
  const nlohmann::json golden = nlohmann::json::parse(stream);
  int compared = 0;
  for (const auto& table : golden.at("tables")) {
    for (const auto& [name, grid] : table.at("grids").items()) {
      const UniPcScheduler scheduler(
          config_with_shift(table.at("shift").get<double>()),
          {.steps = table.at("steps").get<int64_t>(), .grid = parse_sigma_grid(name)});
      const auto sigmas = grid.at("sigmas").get<std::vector<double>>();
      ASSERT_EQ(scheduler.sigmas().size(), sigmas.size());
      for (size_t i = 0; i < sigmas.size(); ++i) {
        EXPECT_NEAR(scheduler.sigmas()[i], sigmas[i], 1e-7) << name << " " << i;
      }
      const std::vector<int64_t> timesteps(scheduler.timesteps().begin(),
                                           scheduler.timesteps().end());
      EXPECT_EQ(timesteps, grid.at("timesteps").get<std::vector<int64_t>>()) << name;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 24);
}

// Sample after each step of a golden trajectory, compared with diffusers'.
void expect_golden_trajectory(int steps, double* worst) {
  const test::GoldenFile golden("scheduler/unipc_n" + std::to_string(steps) + ".safetensors");
  const auto info = nlohmann::json::parse(golden.metadata().at("info"));
  UniPcScheduler scheduler(config_with_shift(info.at("flow_shift").get<double>()),
                           {.steps = steps});
  const auto outputs = golden.f32("model_outputs");
  const auto samples = golden.f32("samples");
  const size_t count = outputs.size() / static_cast<size_t>(steps);
  const Shape shape{static_cast<int64_t>(count)};
  kernels::Context context;
  Tensor sample = Tensor::from_values(shape, {samples.data(), count});
  for (size_t i = 0; i < static_cast<size_t>(steps); ++i) {
    const Tensor output = Tensor::from_values(shape, {outputs.data() + i * count, count});
    scheduler.step(output, &sample, context);
    const double error =
        test::relative_rms(sample.values(), {samples.data() + (i + 1) * count, count});
    EXPECT_LE(error, 1e-6) << steps << " steps, after step " << i;
    *worst = std::max(*worst, error);
  }
}

TEST(UniPcScheduler, TrajectoriesOfDiffusers) {
  double worst = 0;
  for (int threads : {1, 2}) {
    set_num_threads(threads);
    for (int steps : {1, 2, 3, 8, 20}) expect_golden_trajectory(steps, &worst);
  }
  RecordProperty("worst_relative_rms", testing::PrintToString(worst));
}

TEST(UniPcScheduler, OptionOverridesTheConfiguredShift) {
  const UniPcScheduler configured(config_with_shift(5), {.steps = 10});
  const UniPcScheduler overridden(config_with_shift(3), {.steps = 10, .flow_shift = 5.0});
  EXPECT_TRUE(std::equal(configured.sigmas().begin(), configured.sigmas().end(),
                         overridden.sigmas().begin(), overridden.sigmas().end()));
}

// A model that always points to the same clean sample is integrated exactly by any order.
TEST(UniPcScheduler, ConstantCleanSampleIsReachedWithAnyOrderAndWithoutCorrector) {
  for (const int order : {1, 2}) {
    for (const std::vector<int64_t>& disabled : {std::vector<int64_t>{}, {0, 2}}) {
      UniPcScheduler scheduler(
          {.flow_shift = 5, .solver_order = order, .disable_corrector = disabled}, {.steps = 7});
      const float clean = 0.75f;
      const float noise = -1.25f;
      const float sigma = scheduler.sigmas()[0];
      kernels::Context context;
      Tensor sample = Tensor::zeros({1});
      sample.f32()[0] = (1 - sigma) * clean + sigma * noise;
      while (scheduler.step_index() < scheduler.steps()) {
        Tensor output = Tensor::zeros({1});
        const float now = scheduler.sigmas()[static_cast<size_t>(scheduler.step_index())];
        output.f32()[0] = (sample.f32()[0] - clean) / now;
        scheduler.step(output, &sample, context);
      }
      EXPECT_NEAR(sample.f32()[0], clean, 1e-6);
    }
  }
}

TEST(UniPcScheduler, RefusesWhatCannotBeSampled) {
  const auto code = [](double shift, int64_t steps) {
    return test::expect_error([&] { UniPcScheduler(config_with_shift(shift), {.steps = steps}); })
        .code();
  };
  EXPECT_EQ(code(5, 0), Code::kInvalidArgument);
  EXPECT_EQ(code(5, -3), Code::kInvalidArgument);
  EXPECT_EQ(code(5, 1001), Code::kInvalidArgument);
  EXPECT_EQ(code(0, 10), Code::kInvalidArgument);
  EXPECT_EQ(code(std::nan(""), 10), Code::kInvalidArgument);
  EXPECT_EQ(code(INFINITY, 10), Code::kInvalidArgument);
  // The second sigma of this grid would equal the first one.
  EXPECT_EQ(code(1000, 1000), Code::kInvalidArgument);
  EXPECT_EQ(test::expect_error([] { parse_sigma_grid("euler"); }).code(), Code::kInvalidArgument);
}

TEST(UniPcScheduler, OneStepTooManyIsABrokenContract) {
  UniPcScheduler scheduler(config_with_shift(5), {.steps = 1});
  kernels::Context context;
  Tensor sample = Tensor::zeros({2});
  const Tensor output = Tensor::zeros({2});
  scheduler.step(output, &sample, context);
  EXPECT_EQ(test::expect_error([&] { scheduler.step(output, &sample, context); }).code(),
            Code::kInternal);
}

}  // namespace
}  // namespace mxvideo::pipeline
