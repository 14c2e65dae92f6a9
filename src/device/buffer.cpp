#include "device/buffer.h"

#include <utility>

namespace mxvideo {

Buffer::Buffer(Device& device, int64_t bytes)
    : device_(&device), data_(device.allocate(bytes)), size_(bytes) {}

Buffer::~Buffer() { free(); }

Buffer::Buffer(Buffer&& other) noexcept
    : device_(other.device_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    free();
    device_ = other.device_;
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void Buffer::free() {
  if (data_ != nullptr) device_->deallocate(data_, size_);
}

}  // namespace mxvideo
