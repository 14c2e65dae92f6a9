// Dense row-major tensors. Tensor owns, TensorView does not; both know dtype and shape.
// Activations are F32 throughout; other types are storage formats of weights and files.
// Distinct tensors may be used from different threads; one tensor needs outside synchronisation
// for writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "device/buffer.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace mxvideo {

// Read-only; trivially copyable. The bytes may be unaligned when they lie in a mapped file.
struct TensorView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;

  int64_t count() const { return shape.count(); }
  int64_t bytes() const { return count() * dtype_size(dtype); }
};

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised. Throws Code::kOutOfMemory.
  Tensor(DType dtype, const Shape& shape, Device& device = cpu_device());
  static Tensor zeros(const Shape& shape);                                       // F32
  static Tensor from_values(const Shape& shape, std::span<const float> values);  // F32

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t count() const { return shape_.count(); }
  int64_t bytes() const { return buffer_.size(); }
  bool empty() const { return buffer_.size() == 0; }

  std::byte* data() { return buffer_.data(); }
  const std::byte* data() const { return buffer_.data(); }
  // The elements of an F32 tensor; any other dtype is a broken contract.
  float* f32();
  const float* f32() const;
  std::span<const float> values() const { return {f32(), static_cast<size_t>(count())}; }

  TensorView view() const { return {.data = data(), .dtype = dtype_, .shape = shape_}; }
  operator TensorView() const { return view(); }  // NOLINT(google-explicit-constructor)
  Tensor clone() const;
  // Same elements under another shape of the same count.
  void reshape(const Shape& shape);

 private:
  DType dtype_ = DType::kF32;
  Shape shape_{0};
  Buffer buffer_;
};

// Copies F32, F16 or BF16 elements to float; exact. `destination` holds view.count() floats.
// Parallel. Throws Code::kUnsupported naming the dtype otherwise.
void convert_to_f32(const TensorView& view, float* destination);
Tensor to_f32(const TensorView& view);

}  // namespace mxvideo
