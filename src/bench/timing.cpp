#include "bench/timing.h"

#include "base/median.h"
#include "bench/stopwatch.h"

namespace mxvideo::bench {

std::vector<double> time_in_turns(const std::vector<std::function<void()>>& actions,
                                  const TimingOptions& options) {
  constexpr int kMostRepeats = 101;
  const auto stop_if_asked = [&] {
    if (options.cancellation != nullptr) options.cancellation->throw_if_cancelled();
  };
  for (const auto& action : actions) {
    stop_if_asked();
    action();
  }
  std::vector<std::vector<double>> times(actions.size());
  double total = 0;
  for (int run = 0; run < options.repeats || (total < options.seconds && run < kMostRepeats);
       ++run) {
    for (size_t i = 0; i < actions.size(); ++i) {
      stop_if_asked();
      times[i].push_back(seconds_of(actions[i]));
      total += times[i].back();
    }
  }
  std::vector<double> medians;
  for (const auto& own : times) medians.push_back(lower_median(own));
  return medians;
}

std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
  }
  return values;
}

}  // namespace mxvideo::bench
