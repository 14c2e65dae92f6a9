// The only owner of bulk memory: weights, activations, caches. Move-only; everything else holds
// views. A Buffer remembers the Device that made it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/device.h"

namespace mxvideo {

class Buffer {
 public:
  Buffer() = default;
  // Uninitialised, aligned to Device::kAlignment. Throws Code::kOutOfMemory naming `bytes`.
  Buffer(Device& device, int64_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  int64_t size() const { return size_; }
  Device& device() const { return *device_; }

 private:
  void free();

  Device* device_ = &cpu_device();
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace mxvideo
