// Where memory lives. No mathematics here: kernels pick their own device rows.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace mxvideo {

// allocate() and deallocate() may be called from several threads.
class Device {
 public:
  static constexpr int64_t kAlignment = 64;  // bytes: a cache line, and a 512-bit vector

  virtual ~Device() = default;
  virtual const char* name() const = 0;
  // Throws Code::kOutOfMemory. `bytes` may be 0.
  virtual std::byte* allocate(int64_t bytes) = 0;
  virtual void deallocate(std::byte* data, int64_t bytes) noexcept = 0;
  // Bytes handed out and not yet returned.
  virtual int64_t allocated_bytes() const = 0;
  // Highest allocated_bytes() since start or the last reset_peak_allocated_bytes().
  virtual int64_t peak_allocated_bytes() const = 0;
  virtual void reset_peak_allocated_bytes() = 0;
};

// The host's memory. Lives as long as the process.
Device& cpu_device();

}  // namespace mxvideo
