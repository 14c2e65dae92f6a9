#include "kernels/common/test_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/parallel.h"
#include "support/highway_targets.h"

namespace mxvideo::test {
namespace {

constexpr float kCanary = -0x1.8badf0p100f;

bool same_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return false;
  // memcmp() takes no null pointer, which an empty span may hold.
  return a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

std::vector<float> random_floats(int64_t count, float amplitude, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = amplitude * static_cast<float>(static_cast<int32_t>(generator())) * 0x1p-31f;
  }
  return values;
}

Guarded::Guarded(int64_t count, float fill)
    : count_(static_cast<size_t>(count)), storage_(count_ + 2 * kMargin, kCanary) {
  std::fill_n(data(), count_, fill);
}

Guarded::Guarded(std::span<const float> values)
    : count_(values.size()), storage_(count_ + 2 * kMargin, kCanary) {
  std::copy(values.begin(), values.end(), data());
}

bool Guarded::intact() const {
  for (size_t i = 0; i < kMargin; ++i) {
    if (storage_[i] != kCanary || storage_[kMargin + count_ + i] != kCanary) return false;
  }
  return true;
}

void sweep(const Sweep& rows, const std::function<std::vector<float>(kernels::Context&)>& op,
           const std::function<void(std::span<const float>)>& judge) {
  const int threads_before = num_threads();
  const auto check = [&](const char* target) {
    SCOPED_TRACE(std::string(rows.name) + "=" + rows.row + " " + target);
    kernels::Context context;
    context.policy.forced_rows[rows.name] = rows.row;
    set_num_threads(1);
    const std::vector<float> result = op(context);
    judge(result);
    for (const int threads : {2, 7}) {
      set_num_threads(threads);
      EXPECT_TRUE(same_bits(op(context), result)) << threads << " threads change the result";
    }
  };
  // The plain rows do not dispatch.
  const std::string_view row = rows.row;
  if (row == "reference" || row == "portable") {
    check("");
  } else {
    for_each_highway_target(check);
  }
  set_num_threads(threads_before);
}

void expect_within(std::span<const float> actual, std::span<const double> expected,
                   std::span<const double> bound) {
  ASSERT_EQ(actual.size(), expected.size());
  ASSERT_EQ(actual.size(), bound.size());
  double worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]);
    const double ratio = error == 0 ? 0 : error / bound[i];
    if (ratio > worst || std::isnan(ratio)) {
      worst = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
      where = i;
    }
  }
  EXPECT_LE(worst, 1.0) << "element " << where << ": " << actual[where] << ", expected "
                        << expected[where] << ", bound " << bound[where];
}

}  // namespace mxvideo::test
