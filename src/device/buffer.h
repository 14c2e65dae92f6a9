// The only owner of bulk memory: weights, activations, caches. Move-only; everything else holds
// views. A Buffer remembers the Memory that it came from, which outlives it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/device.h"

namespace mxvideo {

class Buffer {
 public:
  Buffer() = default;
  // Uninitialised, aligned to Memory::kAlignment. Throws Code::kOutOfMemory naming `bytes`.
  Buffer(Memory& memory, int64_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  int64_t size() const { return size_; }
  Memory& memory() const { return *memory_; }
  Device& device() const { return memory_->device(); }

 private:
  void free();

  Memory* memory_ = &cpu_device();
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace mxvideo
