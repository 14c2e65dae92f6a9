// The thread pool: OpenMP's, which oneDNN uses as well, so that there is only one.
//
// Work is split statically by index. A kernel whose result for one index does not depend on the
// split therefore gives the same bits for any number of threads, and every kernel here is so.
// Calls from inside a parallel region run on the calling thread.
#pragma once

#include <cstdint>

#include "base/function_ref.h"

namespace mxvideo {

// Number of threads that the next parallel_for may use; at least 1. Process-wide.
void set_num_threads(int count);
int num_threads();

// Calls body(begin, end) on disjoint ranges that cover [0, count). Each range starts at a multiple
// of `grain`. `body` must not throw.
void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body);

// The same on as many threads made for this call; `body` may throw. For long work beside threads
// that read and write files: OpenMP's wait by spinning, which would take the processor from those.
// Calls of parallel_for from inside run on the calling thread.
void parallel_for_on_new_threads(int64_t count, int64_t grain,
                                 FunctionRef<void(int64_t begin, int64_t end)> body);

}  // namespace mxvideo
