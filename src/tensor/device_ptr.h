// The address of elements in a device's memory, made of a Tensor or of a plain pointer. Knows their
// type; reading them is for work that runs on the device. Everything is inlined, because objects
// for one instruction set may not bring functions that the linker could share with the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tensor/dtype.h"

namespace mxvideo {

class Tensor;

template <class T>
class DevicePtr {
 public:
  [[gnu::always_inline]] constexpr DevicePtr() = default;
  // NOLINTBEGIN(google-explicit-constructor)
  [[gnu::always_inline]] constexpr DevicePtr(std::nullptr_t) {}
  [[gnu::always_inline]] constexpr DevicePtr(T* data) : data_(data) {}
  // From a pointer to elements that may be written.
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>)
      [[gnu::always_inline]] constexpr DevicePtr(DevicePtr<U> other)
      : data_(other.get()) {}
  // The first element; a tensor of another type is a broken contract, an empty one gives null.
  DevicePtr(const Tensor& tensor) requires std::is_const_v<T>;
  DevicePtr(Tensor& tensor);
  [[gnu::always_inline]] constexpr operator T*() const { return data_; }
  // NOLINTEND(google-explicit-constructor)
  [[gnu::always_inline]] constexpr T* get() const { return data_; }
  [[gnu::always_inline]] constexpr DevicePtr& operator+=(int64_t count) {
    data_ += count;
    return *this;
  }

 private:
  T* data_ = nullptr;
};

}  // namespace mxvideo
