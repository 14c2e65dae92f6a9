// The address of elements in a device's memory, made of a Tensor or of a plain pointer. Knows their
// type; reading them is for work that runs on the device. Those of DevicePtr<float> are of the type
// of the device's activations where they are activations: F32 or BF16, as dtype() says; the
// processors of the host have F32 only, so that their rows read floats. Everything is inlined,
// because objects for one instruction set may not bring functions that the linker could share with
// the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "formats/dtype.h"

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
      : data_(other.get()), bf16_(other.dtype() == DType::kBF16) {}
  // The first element; a tensor of another type is a broken contract, an empty one gives null.
  DevicePtr(const Tensor& tensor) requires std::is_const_v<T>;
  DevicePtr(Tensor& tensor);
  [[gnu::always_inline]] constexpr operator T*() const { return data_; }
  // NOLINTEND(google-explicit-constructor)
  [[gnu::always_inline]] constexpr T* get() const { return data_; }
  // Of floats: F32 or BF16.
  [[gnu::always_inline]] constexpr DType dtype() const { return bf16_ ? DType::kBF16 : dtype_of(); }
  // The address of the element `count` further on.
  [[gnu::always_inline]] DevicePtr from(int64_t count) const {
    DevicePtr result = *this;
    result += count;
    return result;
  }
  [[gnu::always_inline]] constexpr DevicePtr& operator+=(int64_t count) {
    if (bf16_) {
      data_ = reinterpret_cast<T*>(reinterpret_cast<Half*>(data_) + count);
    } else {
      data_ += count;
    }
    return *this;
  }

 private:
  using Half = std::conditional_t<std::is_const_v<T>, const uint16_t, uint16_t>;

  [[gnu::always_inline]] static constexpr DType dtype_of() {
    using Element = std::remove_const_t<T>;
    if constexpr (std::is_same_v<Element, float>) return DType::kF32;
    if constexpr (std::is_same_v<Element, int32_t>) return DType::kI32;
    if constexpr (std::is_same_v<Element, uint16_t>) return DType::kBF16;
    return DType::kU8;
  }

  T* data_ = nullptr;
  bool bf16_ = false;
};

}  // namespace mxvideo
