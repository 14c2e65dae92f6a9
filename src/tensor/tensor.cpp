#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "base/parallel.h"
#include "formats/half.h"

namespace mxvideo {
namespace {

constexpr int64_t kConvertGrain = 1 << 14;  // elements: enough work to pay for a thread

void copy_floats(const std::byte* source, int64_t count, float* destination) {
  parallel_for(count, kConvertGrain, [&](int64_t begin, int64_t end) {
    const int64_t size = sizeof(float);
    std::memcpy(destination + begin, source + begin * size,
                static_cast<size_t>((end - begin) * size));
  });
}

template <float (*kDecode)(uint16_t)>
void convert_halves(const std::byte* source, int64_t count, float* destination) {
  parallel_for(count, kConvertGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      uint16_t bits = 0;
      std::memcpy(&bits, source + i * 2, 2);
      destination[i] = kDecode(bits);
    }
  });
}

}  // namespace

Tensor::Tensor(DType dtype, const Shape& shape, Memory& memory)
    : dtype_(dtype),
      shape_(shape),
      buffer_(memory, checked_mul(shape.count(), dtype_size(dtype), "tensor bytes")) {}

Tensor Tensor::zeros(const Shape& shape) {
  Tensor tensor(DType::kF32, shape);
  if (!tensor.empty()) std::memset(tensor.data(), 0, static_cast<size_t>(tensor.bytes()));
  return tensor;
}

Tensor Tensor::from_values(const Shape& shape, std::span<const float> values) {
  check(shape.count() == static_cast<int64_t>(values.size()), "shape matches values");
  Tensor tensor(DType::kF32, shape);
  if (!tensor.empty()) std::memcpy(tensor.data(), values.data(), values.size_bytes());
  return tensor;
}

float* Tensor::f32() {
  check(dtype_ == DType::kF32 && &device() == &cpu_device(), "tensor is F32, on the host");
  return reinterpret_cast<float*>(buffer_.data());
}

const float* Tensor::f32() const {
  check(dtype_ == DType::kF32 && &device() == &cpu_device(), "tensor is F32, on the host");
  return reinterpret_cast<const float*>(buffer_.data());
}

Tensor Tensor::clone() const {
  Tensor copy(dtype_, shape_, buffer_.memory());
  device().copy(copy.data(), data(), bytes());
  return copy;
}

Tensor Tensor::copy_to(Memory& memory) const {
  Tensor copy(dtype_, shape_, memory);
  Device& other = memory.device();
  if (&other == &device()) {
    other.copy(copy.data(), data(), bytes());
  } else if (&other == &cpu_device()) {
    device().download(copy.data(), data(), bytes());
  } else {
    check(&device() == &cpu_device(), "copies are from or to the host");
    other.upload(copy.data(), data(), bytes());
  }
  return copy;
}

OnHost::OnHost(const Tensor& tensor) : tensor_(&tensor) {
  if (&tensor.device() == &cpu_device()) return;
  copy_ = tensor.copy_to(cpu_device());
  tensor_ = &copy_;
}

void Tensor::reshape(const Shape& shape) {
  check(shape.count() == count(), "reshape keeps the element count");
  shape_ = shape;
}

void convert_to_f32(const TensorView& view, float* destination) {
  const int64_t count = view.count();
  if (count == 0) return;
  switch (view.dtype) {
    case DType::kF32:
      copy_floats(view.data, count, destination);
      return;
    case DType::kBF16:
      convert_halves<formats::decode_bf16>(view.data, count, destination);
      return;
    case DType::kF16:
      convert_halves<formats::decode_fp16>(view.data, count, destination);
      return;
    default:
      throw Error(Code::kUnsupported, "cannot convert " + std::string(dtype_name(view.dtype)) +
                                          " to F32; expected F32, F16 or BF16");
  }
}

Tensor to_f32(const TensorView& view, Device& device) {
  Tensor tensor(DType::kF32, view.shape, device);
  if (device.kind() != DeviceKind::kCpu) {
    if (device.computes()) tensor = to_f32(view).copy_to(device);
    return tensor;
  }
  float* const values = DevicePtr<float>(tensor);
  device.launch([view, values] { convert_to_f32(view, values); });
  return tensor;
}

Tensor to_bf16(const TensorView& view, Device& device) {
  Tensor tensor(DType::kBF16, view.shape, device);
  if (!device.computes() || tensor.empty()) return tensor;
  const Tensor values = to_f32(view);
  Tensor rounded(DType::kBF16, view.shape);
  auto* const to = reinterpret_cast<uint16_t*>(rounded.data());
  std::transform(values.f32(), values.f32() + values.count(), to, formats::encode_bf16);
  device.upload(tensor.data(), rounded.data(), rounded.bytes());
  return tensor;
}

Tensor stored_copy(const TensorView& view, Device& device) {
  Tensor tensor(view.dtype, view.shape, device);
  if (device.kind() != DeviceKind::kCpu) {
    device.upload(tensor.data(), view.data, view.bytes());
  } else {
    device.copy(tensor.data(), view.data, view.bytes());
  }
  return tensor;
}

namespace internal {
namespace {

void check_dtype(const Tensor& tensor, DType dtype) {
  const bool activations = dtype == DType::kF32 && tensor.dtype() == DType::kBF16 &&
                           tensor.device().activation_type() == DType::kBF16;
  check(tensor.empty() || tensor.dtype() == dtype || activations,
        "the tensor has the element type of its pointer");
}

}  // namespace

std::byte* address(Tensor& tensor, DType dtype) {
  check_dtype(tensor, dtype);
  return tensor.data();
}

const std::byte* address(const Tensor& tensor, DType dtype) {
  check_dtype(tensor, dtype);
  return tensor.data();
}

}  // namespace internal

}  // namespace mxvideo
