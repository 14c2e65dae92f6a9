// Dense row-major tensors. Tensor owns, TensorView does not; both know dtype, shape and device.
// Activations are F32, or BF16 on devices that compute so; other types are storage formats of
// weights and files.
// What code on the host reads and writes (f32(), values()) are tensors of the host's device; of
// others it takes addresses (from(), device_ptr.h) and copies (copy_to(), OnHost).
// Distinct tensors may be used from different threads; one tensor needs outside synchronisation
// for writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "device/buffer.h"
#include "formats/dtype.h"
#include "tensor/device_ptr.h"
#include "tensor/shape.h"

namespace mxvideo {

// Read-only; trivially copyable. The bytes may be unaligned when they lie in a mapped file.
struct TensorView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  Device* device = &cpu_device();

  int64_t count() const { return shape.count(); }
  int64_t bytes() const { return count() * dtype_size(dtype); }
};

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised. Throws Code::kOutOfMemory.
  Tensor(DType dtype, const Shape& shape, Memory& memory = cpu_device());
  static Tensor zeros(const Shape& shape);                                       // F32
  static Tensor from_values(const Shape& shape, std::span<const float> values);  // F32

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t count() const { return shape_.count(); }
  int64_t bytes() const { return buffer_.size(); }
  bool empty() const { return buffer_.size() == 0; }

  Device& device() const { return buffer_.device(); }

  std::byte* data() { return buffer_.data(); }
  const std::byte* data() const { return buffer_.data(); }
  // The elements of an F32 tensor of the host; any other is a broken contract.
  float* f32();
  const float* f32() const;
  std::span<const float> values() const { return {f32(), static_cast<size_t>(count())}; }
  // The address of element `first` of a tensor of activations, on any device.
  DevicePtr<float> from(int64_t first) { return DevicePtr<float>(*this).from(first); }
  DevicePtr<const float> from(int64_t first) const {
    return DevicePtr<const float>(*this).from(first);
  }

  TensorView view() const {
    return {.data = data(), .dtype = dtype_, .shape = shape_, .device = &device()};
  }
  operator TensorView() const { return view(); }  // NOLINT(google-explicit-constructor)
  // From the same memory.
  Tensor clone() const;
  // To memory of the host or of a device, from either, or of the same.
  Tensor copy_to(Memory& memory) const;
  // Same elements under another shape of the same count.
  void reshape(const Shape& shape);

 private:
  DType dtype_ = DType::kF32;
  Shape shape_{0};
  Buffer buffer_;
};

// A tensor in host memory: itself where it lies there, else a copy.
class OnHost {
 public:
  // `tensor` must outlive this object.
  explicit OnHost(const Tensor& tensor);
  OnHost(const OnHost&) = delete;
  OnHost& operator=(const OnHost&) = delete;

  const Tensor& operator*() const { return *tensor_; }

 private:
  Tensor copy_;
  const Tensor* tensor_;
};

// Copies F32, F16 or BF16 elements to float; exact. `destination` holds view.count() floats.
// Parallel. Throws Code::kUnsupported naming the dtype otherwise.
void convert_to_f32(const TensorView& view, float* destination);
// The same as work of `device`, which reads `view` later: it must live until then.
Tensor to_f32(const TensorView& view, Device& device = cpu_device());

// Rounded to BF16, on a device that is not the host's; done on return.
Tensor to_bf16(const TensorView& view, Device& device);

// The bytes of `view` in its type, likewise.
Tensor stored_copy(const TensorView& view, Device& device = cpu_device());

// Addresses in Tensors are made here, where both are known.
namespace internal {
// Checks that the elements have the type of a pointer: `dtype`, or, for kF32, that of the device's
// activations.
std::byte* address(Tensor& tensor, DType dtype);
const std::byte* address(const Tensor& tensor, DType dtype);
}  // namespace internal

template <class T>
DevicePtr<T>::DevicePtr(const Tensor& tensor) requires std::is_const_v<T> {
  if constexpr (std::is_same_v<T, const std::byte>) {
    data_ = tensor.data();
  } else {
    data_ = reinterpret_cast<T*>(internal::address(tensor, dtype_of()));
    bf16_ = tensor.dtype() == DType::kBF16;
  }
}

template <class T>
DevicePtr<T>::DevicePtr(Tensor& tensor) {
  if constexpr (std::is_same_v<std::remove_const_t<T>, std::byte>) {
    data_ = tensor.data();
  } else {
    data_ = reinterpret_cast<T*>(internal::address(tensor, dtype_of()));
    bf16_ = tensor.dtype() == DType::kBF16;
  }
}

}  // namespace mxvideo
