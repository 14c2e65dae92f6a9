#include "bench/baseline.h"

#include <gtest/gtest.h>

#include "bench/bench_test_support.h"

namespace mxvideo::bench {
namespace {

using Json = nlohmann::ordered_json;
using Verdict = RatioComparison::Verdict;

Json row(const std::string& kernel, Json fraction, Json ratio) {
  return {{"op", "gemm_mx"},
          {"scheme", "mxfp8"},
          {"compute", "exact"},
          {"kernel", kernel},
          {"m", 512},
          {"k", 64},
          {"n", 96},
          {"seconds_median", 1.5},
          {"roof_fraction", std::move(fraction)},
          {"ratio_onednn_f32", std::move(ratio)}};
}

Json result(std::vector<Json> rows, int threads = 2) {
  return {{"machine", {{"cpu", "Some CPU"}, {"features", "avx2"}, {"threads", threads}}},
          {"rows", std::move(rows)}};
}

const std::string kKey = "gemm_mx mxfp8 exact avx2 m=512 k=64 n=96";

std::vector<Verdict> verdicts(const Json& baseline, const Json& results) {
  std::vector<Verdict> found;
  for (const auto& comparison : compare_with_baseline(baseline, {results})) {
    found.push_back(comparison.verdict);
  }
  return found;
}

TEST(BaselineTest, KeepsRatiosAndNoTimes) {
  const Json baseline = make_baseline({result({row("avx2", 0.8, 2.0)})}, 0.1);
  const Json expected = {{"cpu", "Some CPU"},
                         {"features", "avx2"},
                         {"threads", 2},
                         {"tolerance", 0.1},
                         {"ratios", {{kKey, {{"ratio_onednn_f32", 2.0}, {"roof_fraction", 0.8}}}}}};
  EXPECT_EQ(baseline, expected);
}

TEST(BaselineTest, TellsStepsByTheirAttention) {
  const auto step = [](const char* attention) {
    return Json{{"op", "step"}, {"attention", attention}, {"tokens", 780}, {"ratio_none", 1.5}};
  };
  const Json baseline = make_baseline({result({step("fp32"), step("int8")})}, 0.1);
  EXPECT_TRUE(baseline["ratios"].contains("step fp32 tokens=780"));
  EXPECT_TRUE(baseline["ratios"].contains("step int8 tokens=780"));
}

TEST(BaselineTest, ComparesEachRatioWithinTheTolerance) {
  const Json baseline = make_baseline({result({row("avx2", 0.8, 2.0)})}, 0.1);
  // In the order of the file: ratio_onednn_f32, roof_fraction.
  using V = std::vector<Verdict>;
  EXPECT_EQ(verdicts(baseline, result({row("avx2", 0.8, 2.0)})),
            (V{Verdict::kGood, Verdict::kGood}));
  EXPECT_EQ(verdicts(baseline, result({row("avx2", 0.73, 2.19)})),
            (V{Verdict::kGood, Verdict::kGood}));
  EXPECT_EQ(verdicts(baseline, result({row("avx2", 0.71, 2.21)})),
            (V{Verdict::kFaster, Verdict::kRegression}));
  EXPECT_EQ(verdicts(baseline, result({row("avx2", 0.8, 1.79)})),
            (V{Verdict::kRegression, Verdict::kGood}));
}

TEST(BaselineTest, WhatWasNotMeasuredIsNoPass) {
  const Json baseline = make_baseline({result({row("avx2", 0.8, 2.0)})}, 0.1);
  using V = std::vector<Verdict>;
  const Json without = result({row("avx2", nullptr, 2.0)});
  EXPECT_EQ(verdicts(baseline, without), (V{Verdict::kGood, Verdict::kNotMeasured}));
  EXPECT_EQ(verdicts(baseline, result({})), (V{Verdict::kNotMeasured, Verdict::kNotMeasured}));
  EXPECT_TRUE(has_regression(compare_with_baseline(baseline, {without})));
}

TEST(BaselineTest, NewRatiosAreListedAndPass) {
  const Json baseline = make_baseline({result({row("avx2", 0.8, 2.0)})}, 0.1);
  const auto comparisons = compare_with_baseline(
      baseline, {result({row("avx2", 0.8, 2.0)}), result({row("avx512", 0.7, nullptr)})});
  ASSERT_EQ(comparisons.size(), 3u);
  EXPECT_EQ(comparisons[2].verdict, Verdict::kNew);
  EXPECT_EQ(comparisons[2].measured, 0.7);
  EXPECT_FALSE(has_regression(comparisons));
}

TEST(BaselineTest, RegressionsAreRegressions) {
  RatioComparison comparison;
  for (const auto& [verdict, expected] : {std::pair{Verdict::kGood, false},
                                          {Verdict::kFaster, false},
                                          {Verdict::kRegression, true},
                                          {Verdict::kNotMeasured, true},
                                          {Verdict::kNew, false}}) {
    comparison.verdict = verdict;
    EXPECT_EQ(has_regression({comparison}), expected) << verdict_name(verdict);
  }
}

TEST(BaselineTest, AnotherMachineIsNoPass) {
  const Json baseline = make_baseline({result({row("avx2", 0.8, 2.0)})}, 0.1);
  expect_refusal(Code::kDevice, "it has cpu \"Some CPU\", features \"avx2\", threads 2",
                 [&] { verdicts(baseline, result({row("avx2", 0.8, 2.0)}, 3)); });
  Json other = result({row("avx2", 0.8, 2.0)});
  other["machine"]["features"] = "avx2 avx512";
  expect_refusal(Code::kDevice, "another class of machine", [&] { verdicts(baseline, other); });
}

TEST(BaselineTest, RefusesOtherDocuments) {
  const Json good = result({row("avx2", 0.8, 2.0)});
  const Json baseline = make_baseline({good}, 0.1);
  const auto refuse = [&](Code code, const char* message, const Json& file, const Json& results) {
    expect_refusal(code, message, [&] { compare_with_baseline(file, {results}); });
  };
  refuse(Code::kCorruptFile, "got other JSON", baseline, Json::array());
  refuse(Code::kCorruptFile, "got other JSON", baseline, {{"machine", good["machine"]}});
  refuse(Code::kCorruptFile, "got other JSON", Json::object(), good);
  Json wide = baseline;
  wide["tolerance"] = 1;
  refuse(Code::kCorruptFile, "expected a tolerance from 0 up to 1, got 1", wide, good);
  Json text = baseline;
  text["ratios"][kKey]["roof_fraction"] = "0.8";
  refuse(Code::kCorruptFile, "got other JSON", text, good);
  refuse(Code::kInvalidArgument, "is there twice", baseline,
         result({row("avx2", 0.8, 2.0), row("avx2", 0.8, 2.0)}));
  expect_refusal(Code::kInvalidArgument, "expected one machine", [&] {
    make_baseline({good, result({}, 3)}, 0.1);
  });
  expect_refusal(Code::kInvalidArgument, "expected a file", [&] { make_baseline({}, 0.1); });
}

}  // namespace
}  // namespace mxvideo::bench
