// How long a run takes, from its work and the rates of the machine. Pure functions.
//
// Seconds of a group of calls are its amount of work times the rate of its kind. The bar around it
// has two parts, which add: the spread of the repetitions whose fast ones the rate is of, and an
// error of the model (time is linear in the work beyond the sample, caches are as full as in the
// sample), kModelError, which tools measured runs against. Bars of groups add up as well, as what
// is wrong with one is wrong with its likes. A group whose kind was not measured is taken by the
// median rate of its row in other shapes, or by a guess, within a factor of two.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "estimate/rates.h"
#include "estimate/work_log.h"

namespace mxvideo::estimate {

inline constexpr double kModelError = 0.15;
inline constexpr double kGuessError = 0.5;

struct PhaseTime {
  std::string name;
  double seconds = 0;
  double error = 0;    // seconds to either side
  double guessed = 0;  // of the seconds, those without a measured rate
};

struct TimeEstimate {
  std::vector<PhaseTime> phases;

  PhaseTime whole() const;  // the sum of all, as a phase "whole"
};

TimeEstimate estimate_time(std::span<const PhaseWork> phases, const Rates& rates, int threads);

}  // namespace mxvideo::estimate
