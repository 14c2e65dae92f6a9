// Medians of actions that take turns, so that a disturbance of the machine touches all alike.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/cancellation.h"

namespace mxvideo::bench {

struct TimingOptions {
  int repeats = 5;                                  // at least; more until `seconds` have passed
  double seconds = 0.2;                             // of all actions together
  const CancellationToken* cancellation = nullptr;  // optional; looked at before each action
};

// The median of each action in seconds, in their order. Each runs once untimed first. Times are
// those of stopwatch.h. Throws Code::kCancelled and what the actions throw.
std::vector<double> time_in_turns(const std::vector<std::function<void()>>& actions,
                                  const TimingOptions& options);

// Values of a fixed sequence, uniform in [-1, 1).
std::vector<float> random_floats(int64_t count, uint32_t seed = 1);

}  // namespace mxvideo::bench
