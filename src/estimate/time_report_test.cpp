// What is told of how long a run takes, and where its rates come from.
#include "estimate/time_report.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "estimate/estimate_test_support.h"
#include "estimate/rates_file.h"
#include "support/test_support.h"

namespace mxvideo::estimate {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class TimeReportTest : public testing::Test {
 protected:
  TimeReport tell(double flops, Effort effort, const std::string& shape = "a") {
    return tell_time(phases_of({{"denoise", products(shape, flops, &sampled_)}}), cpu_device(),
                     {.rates_file = path_, .effort = effort});
  }

  test::TemporaryDirectory scratch_;
  std::filesystem::path path_ = scratch_.path() / "rates.json";
  int sampled_ = 0;
};

TEST_F(TimeReportTest, MeasuresOnceAndKeepsTheRates) {
  const TimeReport first = tell(1e12, Effort::kMeasure);
  EXPECT_TRUE(first.known);
  EXPECT_TRUE(contains(first.rates, "measured now in ")) << first.rates;
  EXPECT_TRUE(contains(first.rates, ", kept in " + path_.string())) << first.rates;
  const TimeReport second = tell(1e12, Effort::kMeasure);
  EXPECT_EQ(second.rates, "those of " + today() + " in " + path_.string());
  EXPECT_EQ(sampled_, 1);
  EXPECT_DOUBLE_EQ(first.estimate.whole().seconds, second.estimate.whole().seconds);
  const TimeReport third = tell(1e12, Effort::kMeasure, "b");
  EXPECT_TRUE(third.rates.starts_with("those of " + today() + ", others measured now"))
      << third.rates;
  EXPECT_EQ(sampled_, 2);
}

TEST_F(TimeReportTest, AShortRunIsNotHeldUp) {
  const TimeReport report = tell(1e9, Effort::kBounded);
  EXPECT_EQ(sampled_, 0);
  EXPECT_FALSE(report.known);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(TimeReportTest, ALongRunHasTimeToMeasure) {
  const TimeReport report = tell(1e15, Effort::kBounded);
  EXPECT_EQ(sampled_, 1);
  EXPECT_TRUE(report.known);
}

TEST_F(TimeReportTest, AShortRunTakesKeptRates) {
  tell(1e9, Effort::kMeasure);
  const TimeReport report = tell(1e9, Effort::kBounded);
  EXPECT_TRUE(report.known);
  EXPECT_EQ(sampled_, 1);
}

TEST_F(TimeReportTest, ADamagedFileIsToldAndReplaced) {
  std::ofstream(path_) << "{";
  const TimeReport report = tell(1e12, Effort::kMeasure);
  EXPECT_TRUE(report.known);
  ASSERT_EQ(report.notes.size(), 1U);
  EXPECT_TRUE(contains(report.notes[0], path_.string())) << report.notes[0];
  EXPECT_TRUE(tell(1e12, Effort::kMeasure).notes.empty());
}

TEST_F(TimeReportTest, AFileThatCannotBeWrittenIsTold) {
  path_ = path_ / "below" / "rates.json";
  std::ofstream(path_.parent_path().parent_path()) << "no directory";
  const TimeReport report = tell(1e12, Effort::kMeasure);
  EXPECT_TRUE(report.known);
  ASSERT_EQ(report.notes.size(), 1U);
  EXPECT_TRUE(report.notes[0].starts_with("rates are not kept: ")) << report.notes[0];
}

TEST(TimeText, IsShortAndHasItsBar) {
  EXPECT_EQ(spoken(0.456), "0.46 s");
  EXPECT_EQ(spoken(12.34), "12.3 s");
  EXPECT_EQ(spoken(59.97), "1 min 0 s");
  EXPECT_EQ(spoken(200.4), "3 min 20 s");
  EXPECT_EQ(spoken(7530), "2 h 6 min");
  EXPECT_EQ(about({.name = "decode", .seconds = 200, .error = 40}), "about 3 min 20 s +- 20 %");
}

TEST(TimeJson, HasPhasesAndWhole) {
  TimeReport report;
  report.estimate.phases = {{.name = "denoise", .seconds = 3, .error = 1, .guessed = 2},
                            {.name = "decode", .seconds = 4, .error = 0.5}};
  report.rates = "none";
  const auto json = to_json(report);
  EXPECT_EQ(json.at("seconds"), 7);
  EXPECT_EQ(json.at("error_seconds"), 1.5);
  EXPECT_EQ(json.at("guessed_seconds"), 2);
  EXPECT_EQ(json.at("rates"), "none");
  EXPECT_EQ(json.at("phases").size(), 2U);
  EXPECT_EQ(json.at("phases")[1].at("name"), "decode");
  EXPECT_EQ(json.at("phases")[1].at("seconds"), 4);
}

}  // namespace
}  // namespace mxvideo::estimate
