// Ratios of earlier bench runs, to compare new ones with: no times, so that they hold for every
// machine of the same class. Pure functions; thread-safe.
//
// The file: {"cpu", "features", "threads", "tolerance", "ratios": {key: {field: value}}}. A ratio
// is every field of a row whose name begins with "ratio_", and "roof_fraction"; a row's key is made
// of what says what it measured: "gemm_mx mxfp8 exact avx2 m=512 k=3072 n=3072".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mxvideo::bench {

struct RatioComparison {
  enum class Verdict : uint8_t { kGood, kFaster, kRegression, kNotMeasured, kNew };
  std::string key, field;
  double expected = 0;  // 0: kNew
  double measured = 0;  // 0: kNotMeasured
  Verdict verdict = Verdict::kGood;
};

// "good", "faster", "REGRESSION", "NOT MEASURED", "new".
const char* verdict_name(RatioComparison::Verdict verdict);

// Results are documents of report.h. Throws Code::kCorruptFile for documents of another form,
// Code::kInvalidArgument when they come from different machines or hold one key twice.
nlohmann::ordered_json make_baseline(const std::vector<nlohmann::ordered_json>& results,
                                     double tolerance);

// Every ratio of the baseline and of the results. A regression is a ratio below expected · (1 -
// tolerance). Throws Code::kDevice when the results come from another class of machine than the
// baseline: another CPU, other features or another number of threads; and as make_baseline().
std::vector<RatioComparison> compare_with_baseline(
    const nlohmann::ordered_json& baseline, const std::vector<nlohmann::ordered_json>& results);

// Whether a comparison holds a regression or something that was not measured.
bool has_regression(const std::vector<RatioComparison>& comparisons);

}  // namespace mxvideo::bench
