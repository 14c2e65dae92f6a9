// Memory of a computation that is only planned: the allocations of the real code, made in the same
// order and with the same lifetimes, but of no bytes. What a model says it will need is the peak of
// such a trace; tests compare it with Device::peak_allocated_bytes() of the real run.
// Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace mxvideo {

class MemoryTrace {
 public:
  int64_t live() const { return live_; }
  int64_t peak() const { return peak_; }
  // The peak starts again from what is live.
  void reset_peak() { peak_ = live_; }

  void allocate(int64_t bytes) {
    live_ += bytes;
    peak_ = std::max(peak_, live_);
  }
  void release(int64_t bytes) { live_ -= bytes; }
  // Memory of a call that is gone when it returns.
  void pass(int64_t bytes) {
    allocate(bytes);
    release(bytes);
  }

 private:
  int64_t live_ = 0;
  int64_t peak_ = 0;
};

// Counts as long as it lives. The trace must outlive it.
class PlannedBuffer {
 public:
  PlannedBuffer() = default;
  PlannedBuffer(MemoryTrace& trace, int64_t bytes) : trace_(&trace), bytes_(bytes) {
    trace.allocate(bytes);
  }
  ~PlannedBuffer() { reset(); }
  PlannedBuffer(PlannedBuffer&& other) noexcept
      : trace_(std::exchange(other.trace_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  PlannedBuffer& operator=(PlannedBuffer&& other) noexcept {
    if (this != &other) {
      reset();
      trace_ = std::exchange(other.trace_, nullptr);
      bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
  }
  PlannedBuffer(const PlannedBuffer&) = delete;
  PlannedBuffer& operator=(const PlannedBuffer&) = delete;

  int64_t bytes() const { return bytes_; }
  void reset() {
    if (trace_ != nullptr) trace_->release(bytes_);
    trace_ = nullptr;
    bytes_ = 0;
  }

 private:
  MemoryTrace* trace_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace mxvideo
