#include "base/parallel.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <utility>
#include <vector>

#include "base/background_job.h"
#include "base/checked.h"

namespace mxvideo {
namespace {

// Set while a body of parallel_for_on_new_threads() runs.
thread_local bool on_new_thread = false;

struct OnNewThread {
  OnNewThread() : before(std::exchange(on_new_thread, true)) {}
  ~OnNewThread() { on_new_thread = before; }
  OnNewThread(const OnNewThread&) = delete;
  OnNewThread& operator=(const OnNewThread&) = delete;

  bool before;  // true where the job had to run on the caller's thread
};

}  // namespace

void set_num_threads(int count) { omp_set_num_threads(std::max(1, count)); }

int num_threads() { return omp_get_max_threads(); }

void parallel_for(int64_t count, int64_t grain,
                  FunctionRef<void(int64_t begin, int64_t end)> body) {
  if (count <= 0) return;
  const int64_t chunks = ceil_div(count, grain);
  const int threads = omp_in_parallel() || on_new_thread
                          ? 1
                          : static_cast<int>(std::min<int64_t>(num_threads(), chunks));
  if (threads == 1) {
    body(0, count);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    // OpenMP may start fewer threads than asked for (OMP_THREAD_LIMIT, OMP_DYNAMIC, no memory).
    const int64_t team = omp_get_num_threads();
    const int64_t index = omp_get_thread_num();
    const int64_t first = chunks * index / team;
    const int64_t last = chunks * (index + 1) / team;
    if (first < last) body(first * grain, std::min(last * grain, count));
  }
}

int64_t parallel_workers(int64_t count) { return std::clamp<int64_t>(count, 1, num_threads()); }

void parallel_for_each(int64_t count, FunctionRef<void(int64_t index, int64_t worker)> body) {
  std::atomic<int64_t> next{0};
  // A thread that gets several workers, for want of others, runs the first alone.
  parallel_for(parallel_workers(count), 1, [&](int64_t worker, int64_t) {
    for (int64_t i = 0; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
      body(i, worker);
    }
  });
}

void parallel_for_on_new_threads(int64_t count, int64_t grain,
                                 FunctionRef<void(int64_t begin, int64_t end)> body) {
  if (count <= 0) return;
  const int64_t chunks = ceil_div(count, grain);
  const int64_t team = std::min<int64_t>(num_threads(), chunks);
  std::vector<std::future<void>> threads;
  for (int64_t index = 0; index < team; ++index) {
    const int64_t begin = chunks * index / team * grain;
    const int64_t end = std::min(chunks * (index + 1) / team * grain, count);
    threads.push_back(start_job([&body, begin, end] {
      const OnNewThread mark;
      body(begin, end);
    }));
  }
  for (std::future<void>& thread : threads) thread.get();
}

}  // namespace mxvideo
