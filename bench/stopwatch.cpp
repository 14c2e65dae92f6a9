#include "bench/stopwatch.h"

#include <ctime>

#include "base/parallel.h"

namespace mxvideo::bench {
namespace {

double now(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

double seconds_of(FunctionRef<void()> action) {
  const clockid_t clock = num_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
  const double start = now(clock);
  action();
  return now(clock) - start;
}

}  // namespace mxvideo::bench
