// Time of an action in seconds. With one thread this is the processor time of the process, which
// other programs on the machine disturb less than the clock on the wall; with more it is the
// latter.
#pragma once

#include "base/function_ref.h"

namespace mxvideo::bench {

double seconds_of(FunctionRef<void()> action);

// Processor time of the calling thread alone, whatever the number of threads.
double thread_seconds_of(FunctionRef<void()> action);

}  // namespace mxvideo::bench
