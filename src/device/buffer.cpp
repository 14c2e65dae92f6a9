#include "device/buffer.h"

#include <utility>

namespace mxvideo {

Buffer::Buffer(Memory& memory, int64_t bytes)
    : memory_(&memory), data_(memory.allocate(bytes)), size_(bytes) {}

Buffer::~Buffer() { free(); }

Buffer::Buffer(Buffer&& other) noexcept
    : memory_(other.memory_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    free();
    memory_ = other.memory_;
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void Buffer::free() {
  if (data_ != nullptr) memory_->deallocate(data_, size_);
}

}  // namespace mxvideo
