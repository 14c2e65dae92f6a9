// The arithmetic of estimates, with rates that were made up.
#include "estimate/time_estimate.h"

#include <gtest/gtest.h>

#include "estimate/estimate_test_support.h"
#include "kernels/layout/fill.h"

namespace mxvideo::estimate {
namespace {

TEST(TimeEstimate, IsWorkTimesRateInEachPhase) {
  Rates rates;
  rates.set("product fast a", {.seconds = 0.5, .spread = 0.1});
  rates.set("product fast b", {.seconds = 0.25, .spread = 0});
  const TimeEstimate estimate = estimate_time(phases_of({{"denoise", products("a", 100)},
                                                         {"denoise", products("b", 40)},
                                                         {"denoise", products("a", 20)},
                                                         {"decode", products("b", 8)}}),
                                              rates, 2);
  ASSERT_EQ(estimate.phases.size(), 2U);
  EXPECT_EQ(estimate.phases[0].name, "denoise");
  EXPECT_DOUBLE_EQ(estimate.phases[0].seconds, 60 + 10);
  EXPECT_DOUBLE_EQ(estimate.phases[0].error, 60 * (0.1 + kModelError) + 10 * kModelError);
  EXPECT_EQ(estimate.phases[0].guessed, 0);
  EXPECT_DOUBLE_EQ(estimate.phases[1].seconds, 2);
  EXPECT_DOUBLE_EQ(estimate.whole().seconds, 72);
  EXPECT_DOUBLE_EQ(estimate.whole().error, estimate.phases[0].error + estimate.phases[1].error);
}

TEST(TimeEstimate, OfAnUnknownShapeTakesTheRowsOtherShapes) {
  Rates rates;
  rates.set("product fast a", {.seconds = 1, .spread = 0});
  rates.set("product fast b", {.seconds = 2, .spread = 0});
  rates.set("product fast c", {.seconds = 30, .spread = 0});
  rates.set("product faster d", {.seconds = 1000, .spread = 0});
  const TimeEstimate estimate =
      estimate_time(phases_of({{"denoise", products("new", 10)}}), rates, 2);
  EXPECT_DOUBLE_EQ(estimate.whole().seconds, 20);
  EXPECT_DOUBLE_EQ(estimate.whole().error, 20 * kGuessError);
  EXPECT_DOUBLE_EQ(estimate.whole().guessed, 20);
}

TEST(TimeEstimate, OfAnUnknownRowIsAGuessThatSaysSo) {
  const TimeEstimate estimate =
      estimate_time(phases_of({{"denoise", products("new", 1e12)}}), Rates(), 2);
  EXPECT_GT(estimate.whole().seconds, 0);
  EXPECT_EQ(estimate.whole().guessed, estimate.whole().seconds);
}

TEST(WorkLog, CountsRepeatedCallsByKind) {
  WorkLog log;
  kernels::Context context;
  log.listen(context, "denoise");
  std::vector<float> values(40);
  {
    const kernels::Repeats steps(context, 20);
    kernels::fill({.y = values.data(), .width = 40}, context);
  }
  kernels::fill({.y = values.data(), .width = 40}, context);
  log.listen(context, "decode");
  kernels::fill({.y = values.data(), .width = 8}, context);
  ASSERT_EQ(log.phases().size(), 2U);
  ASSERT_EQ(log.phases()[0].groups.size(), 1U);
  const auto& [name, group] = *log.phases()[0].groups.begin();
  EXPECT_EQ(name, "fill reference 1x40");
  EXPECT_EQ(group.calls, 21);
  EXPECT_EQ(group.work.bytes, 21 * 160);
  EXPECT_EQ(log.phases()[1].groups.begin()->second.work.bytes, 32);
}

}  // namespace
}  // namespace mxvideo::estimate
