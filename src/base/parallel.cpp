#include "base/parallel.h"

#include <omp.h>

#include <algorithm>

#include "base/checked.h"

namespace mxvideo {

void set_num_threads(int count) { omp_set_num_threads(std::max(1, count)); }

int num_threads() { return omp_get_max_threads(); }

void parallel_for(int64_t count, int64_t grain,
                  FunctionRef<void(int64_t begin, int64_t end)> body) {
  if (count <= 0) return;
  const int64_t chunks = ceil_div(count, grain);
  const int threads =
      omp_in_parallel() ? 1 : static_cast<int>(std::min<int64_t>(num_threads(), chunks));
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

}  // namespace mxvideo
