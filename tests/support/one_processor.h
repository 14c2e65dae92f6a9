// Confines the calling thread, and the programs that it starts, to one of its processors.
#pragma once

#include <sched.h>

#include <stdexcept>

namespace mxvideo::test {

// In force while it lives; then what was before.
class OneProcessorScope {
 public:
  OneProcessorScope() {
    require(sched_getaffinity(0, sizeof before_, &before_));
    int first = 0;
    while (!CPU_ISSET(first, &before_)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    require(sched_setaffinity(0, sizeof one, &one));
  }
  ~OneProcessorScope() { sched_setaffinity(0, sizeof before_, &before_); }
  OneProcessorScope(const OneProcessorScope&) = delete;
  OneProcessorScope& operator=(const OneProcessorScope&) = delete;

 private:
  static void require(int status) {
    if (status != 0) throw std::runtime_error("cannot read or set the affinity mask");
  }

  cpu_set_t before_;
};

}  // namespace mxvideo::test
