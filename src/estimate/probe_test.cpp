// What is measured, and in which order.
#include "estimate/probe.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "estimate/estimate_test_support.h"
#include "estimate/load_work.h"
#include "kernels/elementwise/elementwise.h"

namespace mxvideo::estimate {
namespace {

TEST(Probe, MeasuresWhatLacksOnceForAllPhases) {
  int known = 0, unknown = 0;
  const auto phases = phases_of({{"denoise", products("known", 1e12, &known)},
                                 {"denoise", products("new", 1e12, &unknown)},
                                 {"decode", products("new", 1e12, &unknown)}});
  Rates rates;
  rates.set("product fast known", {.seconds = 3, .spread = 0});
  const ProbeReport report = measure_missing(phases, rates, cpu_device(), {.seconds = 60});
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.measured, 1);
  EXPECT_EQ(known, 0);
  EXPECT_EQ(unknown, 1);
  EXPECT_EQ(rates.find("product fast known")->seconds, 3);
  EXPECT_GT(rates.find("product fast new")->seconds, 0);
}

TEST(Probe, LeavesOutWhatDoesNotMatter) {
  int small = 0, large = 0;
  Rates rates;
  const ProbeReport report =
      measure_missing(phases_of({{"denoise", products("small", 1e10, &small)},
                                 {"denoise", products("large", 1e13, &large)}}),
                      rates, cpu_device(), {.seconds = 60});
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(large, 1);
  EXPECT_EQ(small, 0);
}

TEST(Probe, WithoutTimeMeasuresNothing) {
  int sampled = 0;
  Rates rates;
  const ProbeReport report = measure_missing(
      phases_of({{"denoise", products("a", 1e12, &sampled)}}), rates, cpu_device(), {.seconds = 0});
  EXPECT_FALSE(report.complete);
  EXPECT_EQ(sampled, 0);
}

TEST(Probe, CanBeCancelled) {
  CancellationToken cancellation;
  cancellation.cancel();
  Rates rates;
  const auto phases = phases_of({{"denoise", products("a", 1e12)}});
  try {
    measure_missing(phases, rates, cpu_device(), {.seconds = 60, .cancellation = &cancellation});
    ADD_FAILURE() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCancelled);
  }
}

// The row that the plan chose, not the one that this machine would take.
TEST(Probe, RunsTheRowOfTheGroup) {
  CallGroup group = {.op = "elementwise", .row = "reference", .calls = 1};
  group.kind = kernels::workload(kernels::ElementwiseArgs{.count = 1 << 16});
  group.work = group.kind.work;
  std::string rows;
  const auto sample = group.kind.sample;
  group.kind.sample = [&](Device& device) -> kernels::SampleCall {
    return [&rows, call = sample(device)](kernels::Context& context) {
      call(context);
      rows = context.choices().begin()->first.second;
    };
  };
  EXPECT_GT(measure(group, cpu_device()).seconds, 0);
  EXPECT_EQ(rows, "reference");
}

TEST(Probe, MeasuresLoading) {
  for (const CallGroup& group : {plain_load(1e9), quantized_load(1e9, {})}) {
    const double seconds = 1e9 * measure(group, cpu_device()).seconds;
    EXPECT_GT(seconds, 1e-3) << group.row;  // 1 TB/s
    EXPECT_LT(seconds, 1e4) << group.row;
  }
}

}  // namespace
}  // namespace mxvideo::estimate
