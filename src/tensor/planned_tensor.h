// An F32 tensor of a planned computation: a shape and its bytes in a MemoryTrace. Not thread-safe.
#pragma once

#include "device/memory_trace.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace mxvideo {

class PlannedTensor {
 public:
  PlannedTensor() = default;
  PlannedTensor(MemoryTrace& trace, const Shape& shape)
      : shape_(shape), buffer_(trace, shape.count() * dtype_size(DType::kF32)) {}

  const Shape& shape() const { return shape_; }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t count() const { return shape_.count(); }
  bool empty() const { return buffer_.bytes() == 0; }

 private:
  Shape shape_{0};
  PlannedBuffer buffer_;
};

}  // namespace mxvideo
