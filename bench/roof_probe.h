// What this machine can do at best, measured: fp32 fused multiply-adds and reads from memory. Every
// bench states its result as a fraction of these, taken in the same run.
#pragma once

namespace mxvideo::bench {

struct Roofs {
  const char* isa = "";         // of the multiply-adds
  double flops = 0;             // fp32 FMA, two operations each, all threads together, per second
  double bytes_per_second = 0;  // reads of an array that no cache holds, all threads together
};

// With the threads that parallel_for uses now. The best of several short trials, about a second in
// all; measured once per thread count. Not thread-safe.
const Roofs& roofs();

}  // namespace mxvideo::bench
