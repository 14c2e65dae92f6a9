#include "base/signal_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/parallel.h"

namespace mxvideo {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

SignalError error_of(const std::vector<float>& reference, const std::vector<float>& actual) {
  SignalError error;
  error.add(reference, actual, static_cast<int64_t>(reference.size()));
  return error;
}

// r = (3, 4), a = (3, 5): sum r² = 25, sum (r − a)² = 1, r·a = 29, sum a² = 34.
TEST(SignalError, HandValues) {
  const SignalError error = error_of({3, 4}, {3, 5});
  EXPECT_DOUBLE_EQ(error.sqnr_db(), 10 * std::log10(25.0));
  EXPECT_DOUBLE_EQ(error.relative_rms(), 0.2);
  EXPECT_NEAR(error.cosine(), 29 / std::sqrt(25.0 * 34.0), 1e-15);
  EXPECT_EQ(error.count(), 2);
}

TEST(SignalError, AccumulatesAsIfItWereOneSignal) {
  SignalError error;
  error.add(std::vector<float>{3, 0, 0, 4}, std::vector<float>{3, 0, 0, 5}, 2);
  error.add(std::vector<float>{2}, std::vector<float>{0}, 1);
  EXPECT_DOUBLE_EQ(error.sqnr_db(), 10 * std::log10(29.0 / 5.0));
  EXPECT_DOUBLE_EQ(error.relative_rms(), std::sqrt(5.0 / 29.0));
  EXPECT_EQ(error.count(), 5);
}

TEST(SignalError, EqualSignalsHaveNoError) {
  const SignalError error = error_of({0.1f, -7}, {0.1f, -7});
  EXPECT_EQ(error.sqnr_db(), kInfinity);
  EXPECT_EQ(error.cosine(), 1);
  EXPECT_EQ(error.relative_rms(), 0);
}

TEST(SignalError, ZeroSignals) {
  EXPECT_EQ(error_of({0, 0}, {0, 0}).cosine(), 1);
  EXPECT_EQ(error_of({0, 0}, {0, 0}).sqnr_db(), kInfinity);
  const SignalError error = error_of({0, 0}, {0, 1});
  EXPECT_EQ(error.cosine(), 0);
  EXPECT_EQ(error.sqnr_db(), -kInfinity);
  EXPECT_EQ(error.relative_rms(), kInfinity);
}

TEST(SignalError, OppositeSignalsHaveCosineMinusOne) {
  EXPECT_DOUBLE_EQ(error_of({1, 2}, {-1, -2}).cosine(), -1);
}

TEST(SignalError, SameBitsForAnyNumberOfThreads) {
  std::vector<float> reference, actual;
  for (int i = 0; i < 33 * 17; ++i) {
    reference.push_back(std::sin(static_cast<float>(i)));
    actual.push_back(std::sin(static_cast<float>(i) * 1.001f));
  }
  const int before = num_threads();
  std::vector<double> values;
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    SignalError error;
    error.add(reference, actual, 17);
    values.push_back(error.sqnr_db() + error.cosine());
  }
  set_num_threads(before);
  EXPECT_EQ(values[0], values[1]);
  EXPECT_EQ(values[0], values[2]);
}

}  // namespace
}  // namespace mxvideo
