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

double elapsed(clockid_t clock, FunctionRef<void()> action) {
  const double start = now(clock);
  action();
  return now(clock) - start;
}

}  // namespace

double seconds_of(FunctionRef<void()> action) {
  return elapsed(num_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, action);
}

double thread_seconds_of(FunctionRef<void()> action) {
  return elapsed(CLOCK_THREAD_CPUTIME_ID, action);
}

}  // namespace mxvideo::bench
