// Memory of the NPU that was freed is handed out again without asking the driver: what a queued
// operator still uses comes before the next use on the same stream. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "device/ascend/cann_library.h"

namespace mxvideo::ascend {

class DevicePool {
 public:
  explicit DevicePool(const CannFunctions& cann) : cann_(cann) {}
  // Nothing may be in use then, on the host or queued.
  ~DevicePool() { trim(); }
  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  // Null where the driver has no more; ask again after the stream was synchronised and trim().
  // Throws Code::kDevice for other failures.
  void* allocate(int64_t bytes);
  void deallocate(void* data, int64_t bytes) noexcept;
  // Gives the driver back what is free. Nothing queued may use it any more.
  void trim() noexcept;

  int64_t allocated_bytes() const;
  int64_t peak_allocated_bytes() const;
  void reset_peak_allocated_bytes();

 private:
  // What is asked of the driver for a request; blocks of one size are exchanged for each other.
  static int64_t block_bytes(int64_t bytes);

  const CannFunctions& cann_;
  mutable std::mutex mutex_;
  std::map<int64_t, std::vector<void*>> free_;  // by block_bytes()
  int64_t allocated_ = 0;
  int64_t peak_ = 0;
};

}  // namespace mxvideo::ascend
