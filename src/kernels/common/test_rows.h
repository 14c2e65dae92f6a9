// What the tests of the kernels share: arrays with canaries, reproducible values, and running an op
// under every row, every vector target and several numbers of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/common/context.h"

namespace mxvideo::test {

inline constexpr double kUnit = 0x1p-24;  // largest relative error of rounding to fp32

// `count` floats, uniform in [-amplitude, amplitude].
std::vector<float> random_floats(int64_t count, float amplitude, uint32_t seed);

// An array between two runs of canaries; its start is not aligned to more than a float.
class Guarded {
 public:
  explicit Guarded(int64_t count, float fill = 12345.0f);
  explicit Guarded(std::span<const float> values);
  float* data() { return storage_.data() + kMargin; }
  const float* data() const { return storage_.data() + kMargin; }
  std::span<const float> values() const { return {data(), count_}; }
  float operator[](int64_t i) const { return data()[i]; }
  int64_t count() const { return static_cast<int64_t>(count_); }
  bool intact() const;

 private:
  static constexpr size_t kMargin = 37;
  size_t count_;
  std::vector<float> storage_;
};

// Runs `op` as the row `row` of `name` with each vector target of this CPU that `row` can use and
// with 1, 2 and 7 threads; `op` returns what it computed. Checks that the number of threads does
// not change a bit, and calls `judge` once for each target with the result.
struct Sweep {
  const char* name;  // of the op
  const char* row;
};
void sweep(const Sweep& rows, const std::function<std::vector<float>(kernels::Context&)>& op,
           const std::function<void(std::span<const float>)>& judge);

// Expects |actual - expected| <= bound element by element; reports the worst ratio and its index.
void expect_within(std::span<const float> actual, std::span<const double> expected,
                   std::span<const double> bound);

}  // namespace mxvideo::test
