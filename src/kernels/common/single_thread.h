// Keeps a library that would share its work among OpenMP threads, and split sums by their number,
// on the calling thread.
#pragma once

#include "base/parallel.h"

namespace mxvideo::kernels {

// While it lives, parallel regions that the calling thread starts have one thread.
class SingleThread {
 public:
  SingleThread() : threads_(num_threads()) { set_num_threads(1); }
  ~SingleThread() { set_num_threads(threads_); }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  int threads_;
};

}  // namespace mxvideo::kernels
