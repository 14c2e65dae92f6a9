// Measures how fast the kinds of calls of a run are, on samples of them. One thread at a time;
// takes the thread pool.
#pragma once

#include <span>

#include "base/cancellation.h"
#include "estimate/rates.h"
#include "estimate/work_log.h"

namespace mxvideo::estimate {

// A guess of no more than an order of magnitude, of a processor that nothing is known of.
double guessed_seconds(const kernels::Work& work, int threads);

// Runs the sample a few times. Throws Code::kOutOfMemory.
Rate measure(const CallGroup& group, Device& device);

struct ProbeOptions {
  double seconds = 0;  // begins no sample after this time
  const CancellationToken* cancellation = nullptr;
};

struct ProbeReport {
  double seconds = 0;
  int measured = 0;  // kinds
  bool complete = false;
};

// Measures what `rates` lacks of `phases`, the largest first. Kinds that make less than a hundredth
// of the run together are left out. Throws Code::kCancelled.
ProbeReport measure_missing(std::span<const PhaseWork> phases, Rates& rates, Device& device,
                            const ProbeOptions& options);

}  // namespace mxvideo::estimate
