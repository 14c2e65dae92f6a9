#include "estimate/time_estimate.h"

#include "estimate/probe.h"

namespace mxvideo::estimate {

PhaseTime TimeEstimate::whole() const {
  PhaseTime sum = {.name = "whole"};
  for (const PhaseTime& phase : phases) {
    sum.seconds += phase.seconds;
    sum.error += phase.error;
    sum.guessed += phase.guessed;
  }
  return sum;
}

TimeEstimate estimate_time(std::span<const PhaseWork> phases, const Rates& rates, int threads) {
  TimeEstimate estimate;
  for (const PhaseWork& phase : phases) {
    PhaseTime& time = estimate.phases.emplace_back(PhaseTime{.name = phase.name});
    for (const auto& [name, group] : phase.groups) {
      if (const std::optional<Rate> rate = rates.find(name)) {
        const double seconds = group.work.amount() * rate->seconds;
        time.seconds += seconds;
        time.error += seconds * (rate->spread + kModelError);
        continue;
      }
      const std::optional<Rate> likely = rates.of_row(group.op, group.row);
      const double seconds =
          likely ? group.work.amount() * likely->seconds : guessed_seconds(group.work, threads);
      time.seconds += seconds;
      time.error += seconds * kGuessError;
      time.guessed += seconds;
    }
  }
  return estimate;
}

}  // namespace mxvideo::estimate
