// Threads that are made one by one, beside the pool of base/parallel.h, where the system may have
// none left (RLIMIT_NPROC, the pids controller of a container, no memory for a stack).
#pragma once

#include <functional>
#include <future>

namespace mxvideo {

// Runs `job` on a thread of its own or, where none can be made, in get() or wait() of the result.
std::future<void> start_job(std::function<void()> job);

// How many threads, this one included, can be there at one time; `wanted` at most and looked for.
// They are made and ended.
int possible_threads(int wanted);

}  // namespace mxvideo
