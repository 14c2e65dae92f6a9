#include "kernels/common/thread_scratch.h"

#include <algorithm>

#include "base/checked.h"
#include "base/parallel.h"

namespace mxvideo::kernels {

namespace {

int64_t slot_size(int64_t floats) {
  return round_up(floats * static_cast<int64_t>(sizeof(float)), Device::kAlignment);
}

}  // namespace

int64_t ThreadScratch::bytes(int64_t count, int64_t floats) {
  const int64_t slots = std::clamp<int64_t>(count, 1, num_threads());
  return checked_mul(slots, slot_size(floats), "kernel scratch");
}

ThreadScratch::ThreadScratch(int64_t count, int64_t floats)
    : buffer_(cpu_device(), bytes(count, floats)), slot_bytes_(slot_size(floats)) {}

float* ThreadScratch::take() noexcept {
  const int64_t slot = next_.fetch_add(1, std::memory_order_relaxed);
  return reinterpret_cast<float*>(buffer_.data() + slot * slot_bytes_);
}

}  // namespace mxvideo::kernels
