// How this process uses the processors that it is given; decided before the first parallel loop.
// Not thread-safe.
#pragma once

#include "cli/progress.h"

namespace mxvideo::cli {

// `asked` threads, or with 0 as many as before; fewer, with a line, where the system has no more.
// The OpenMP runtime ends the process when it cannot make a thread.
void use_threads(int asked, Progress& progress);

// As many threads as the affinity mask and the control groups allow at one time
// (base/system/available_processors.h). OMP_NUM_THREADS in the environment wins.
void use_available_processors();

// Keeps threads that wait for others from spinning for milliseconds: where another process runs
// too, they spin on the very processor that the awaited thread needs. The OpenMP runtime reads its
// policy before main(), so this starts the program anew, once, with GOMP_SPINCOUNT set. Returns
// when the environment says already how to wait, and when starting anew is not possible. Nothing
// may have been written or read yet.
void restart_with_short_spins(char** argv);

}  // namespace mxvideo::cli
