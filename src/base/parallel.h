// The thread pool: OpenMP's, which oneDNN uses as well, so that there is only one.
//
// A kernel whose result for one index does not depend on how the indices are split gives the same
// bits for any number of threads, and every kernel here is so.
// Calls from inside a parallel region run on the calling thread.
#pragma once

#include <cstdint>

#include "base/function_ref.h"

namespace mxvideo {

// Number of threads that the next parallel_for may use; at least 1. Process-wide.
void set_num_threads(int count);
int num_threads();

// Calls body(begin, end) on disjoint ranges that cover [0, count), an equal share for each thread.
// Each range starts at a multiple of `grain`. `body` must not throw.
void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body);

// Calls body(index, worker) for each index of [0, count), in order, as threads get free: for long
// work on cores of unequal speed. `worker` is less than parallel_workers(count); no two calls with
// the same run at one time. `body` must not throw.
void parallel_for_each(int64_t count, FunctionRef<void(int64_t index, int64_t worker)> body);
// Threads that share such a loop at most; at least 1.
int64_t parallel_workers(int64_t count);

// The same on as many threads made for this call; `body` may throw. For long work beside threads
// that read and write files: OpenMP's wait by spinning, which would take the processor from those.
// Calls of parallel_for from inside run on the calling thread.
void parallel_for_on_new_threads(int64_t count, int64_t grain,
                                 FunctionRef<void(int64_t begin, int64_t end)> body);

}  // namespace mxvideo
