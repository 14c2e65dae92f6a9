// Where a Buffer's bytes come from: a device itself, or a part of its memory that was taken before
// (arena.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace mxvideo {

class Device;

class Memory {
 public:
  static constexpr int64_t kAlignment = 64;  // bytes: a cache line, and a 512-bit vector

  virtual ~Memory() = default;
  // Whose memory it is.
  virtual Device& device() = 0;
  // Throws Code::kOutOfMemory. `bytes` may be 0. The contents are undefined.
  virtual std::byte* allocate(int64_t bytes) = 0;
  // Work that was launched before may still use the memory.
  virtual void deallocate(std::byte* data, int64_t bytes) noexcept = 0;
};

}  // namespace mxvideo
