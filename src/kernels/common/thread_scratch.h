// Scratch memory for the threads of one parallel_for, allocated before it starts because kernels
// allocate nothing.
#pragma once

#include <atomic>
#include <cstdint>

#include "device/buffer.h"

namespace mxvideo::kernels {

class ThreadScratch {
 public:
  // Enough slots of `floats` floats for parallel_for(count, 1, …) or parallel_for_each(count, …)
  // with the present number of threads. Contents are uninitialised. Throws Code::kOutOfMemory.
  ThreadScratch(Memory& memory, int64_t count, int64_t floats);

  // A slot that no other call has got, 64-byte aligned. Call once per body of the parallel_for;
  // thread-safe.
  float* take() noexcept;
  // The slot of a worker of parallel_for_each, 64-byte aligned; not together with take().
  float* slot(int64_t worker) noexcept;

 private:
  Buffer buffer_;
  int64_t slot_bytes_;
  std::atomic<int64_t> next_{0};
};

}  // namespace mxvideo::kernels
