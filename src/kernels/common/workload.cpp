#include "kernels/common/workload.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace mxvideo::kernels {

int64_t sample_rows(int64_t rows, int64_t row_elements) {
  const int64_t most = kSampleElements / std::max<int64_t>(row_elements, 1);
  return std::clamp<int64_t>(most, 1, std::max<int64_t>(rows, 1));
}

std::string sizes_text(std::initializer_list<int64_t> sizes) {
  std::string text;
  for (const int64_t size : sizes) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

Tensor& SampleMemory::add(DType dtype, int64_t count, const void* value) {
  constexpr size_t kPiece = 1 << 16;
  const auto size = static_cast<size_t>(dtype_size(dtype));
  std::array<std::byte, kPiece> piece;
  for (size_t i = 0; i < kPiece; i += size) std::memcpy(piece.data() + i, value, size);
  Tensor& tensor = *tensors_.emplace_back(
      std::make_shared<Tensor>(dtype, Shape{std::max<int64_t>(count, 1)}, *device_));
  for (int64_t at = 0; at < tensor.bytes(); at += kPiece) {
    device_->upload(tensor.data() + at, piece.data(),
                    std::min<int64_t>(kPiece, tensor.bytes() - at));
  }
  return tensor;
}

DevicePtr<float> SampleMemory::floats(int64_t count, float value) {
  return add(DType::kF32, count, &value);
}

DevicePtr<uint8_t> SampleMemory::codes(int64_t count, uint8_t value) {
  return add(DType::kU8, count, &value);
}

DevicePtr<int32_t> SampleMemory::indices(int64_t count) {
  const int32_t zero = 0;
  return add(DType::kI32, count, &zero);
}

DevicePtr<int32_t> SampleMemory::indices_like(DevicePtr<const int32_t> wanted, int64_t count) {
  return wanted == nullptr ? DevicePtr<int32_t>() : indices(count);
}

DevicePtr<const std::byte> SampleMemory::weights(int64_t count, DType dtype) {
  const float f32 = 0.5F;
  const uint16_t bf16 = 0x3f00, f16 = 0x3800;
  const void* half = dtype == DType::kBF16  ? static_cast<const void*>(&bf16)
                     : dtype == DType::kF16 ? static_cast<const void*>(&f16)
                                            : static_cast<const void*>(&f32);
  return std::as_const(add(dtype, count, half));
}

}  // namespace mxvideo::kernels
