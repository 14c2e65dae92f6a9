#include "kernels/common/thread_scratch.h"

#include "base/checked.h"
#include "base/parallel.h"

namespace mxvideo::kernels {

namespace {

int64_t slot_size(int64_t floats) {
  return round_up(floats * static_cast<int64_t>(sizeof(float)), Memory::kAlignment);
}

}  // namespace

ThreadScratch::ThreadScratch(Memory& memory, int64_t count, int64_t floats)
    : buffer_(memory, checked_mul(parallel_workers(count), slot_size(floats), "kernel scratch")),
      slot_bytes_(slot_size(floats)) {}

float* ThreadScratch::take() noexcept {
  return slot(next_.fetch_add(1, std::memory_order_relaxed));
}

float* ThreadScratch::slot(int64_t worker) noexcept {
  return reinterpret_cast<float*>(buffer_.data() + worker * slot_bytes_);
}

}  // namespace mxvideo::kernels
