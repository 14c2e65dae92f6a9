#include "kernels/common/thread_scratch.h"

#include <algorithm>

#include "base/checked.h"
#include "base/parallel.h"

namespace mxvideo::kernels {

ThreadScratch::ThreadScratch(int64_t count, int64_t floats)
    : slot_bytes_(round_up(floats * static_cast<int64_t>(sizeof(float)), Device::kAlignment)) {
  const int64_t slots = std::clamp<int64_t>(count, 1, num_threads());
  buffer_ = Buffer(cpu_device(), checked_mul(slots, slot_bytes_, "kernel scratch"));
}

float* ThreadScratch::take() noexcept {
  const int64_t slot = next_.fetch_add(1, std::memory_order_relaxed);
  return reinterpret_cast<float*>(buffer_.data() + slot * slot_bytes_);
}

}  // namespace mxvideo::kernels
