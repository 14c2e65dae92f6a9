// How much a call of an operation does, and a smaller call of the same kind whose time tells how
// long it takes. Each operation has a function workload() beside its contract; select() hands what
// it returns to Context::on_work, where somebody adds it up.
//
// Work counts what the definition needs, no row's own copies: of products the multiplications and
// additions, of every operation the bytes of operands, each read once, and of results, each written
// once. Sizes beyond what decides the speed are cut in the sample, along dimensions in which the
// time is linear.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace mxvideo::kernels {

class Context;

struct Work {
  double flops = 0;  // a multiplication and an addition are two; 0 of operations without products
  double bytes = 0;

  // What the time of calls of one kind is proportional to.
  double amount() const { return flops > 0 ? flops : bytes; }
  Work& operator+=(const Work& other) {
    flops += other.flops;
    bytes += other.bytes;
    return *this;
  }
};

using SampleCall = std::function<void(Context&)>;

struct Workload {
  Work work = {};
  std::string shape = {};  // of the sample, with all that decides its speed: "512x2048x3072 gelu"
  Work sample_work = {};
  // Allocates operands on `device`, which must compute, and returns a call of the operation's entry
  // that may be repeated.
  std::function<SampleCall(Device& device)> sample = {};
};

// Elements of the longest array of a sample: 8 MiB of fp32, more than a core's own caches hold.
inline constexpr int64_t kSampleElements = int64_t{2} << 20;
// Rows of a sampled product.
inline constexpr int64_t kSampleRows = 512;

// The largest count of rows, at most `rows` and at least 1, that have kSampleElements elements.
int64_t sample_rows(int64_t rows, int64_t row_elements);

// "2x3x4"
std::string sizes_text(std::initializer_list<int64_t> sizes);

// Operands of a sample: memory of a device, filled with one value. Copies share it.
class SampleMemory {
 public:
  explicit SampleMemory(Device& device) : device_(&device) {}

  DevicePtr<float> floats(int64_t count, float value = 0.5F);
  DevicePtr<uint8_t> codes(int64_t count, uint8_t value);
  // Where `wanted` is null, null.
  template <class T>
  DevicePtr<float> floats_like(DevicePtr<T> wanted, int64_t count, float value = 0.5F) {
    return wanted == nullptr ? DevicePtr<float>() : floats(count, value);
  }
  // Zeros: every row belongs to vector 0.
  DevicePtr<int32_t> indices(int64_t count);
  DevicePtr<int32_t> indices_like(DevicePtr<const int32_t> wanted, int64_t count);
  // Elements that are 0.5 in `dtype`, F32, F16 or BF16.
  DevicePtr<const std::byte> weights(int64_t count, DType dtype);

 private:
  Tensor& add(DType dtype, int64_t count, const void* value);

  Device* device_;
  std::vector<std::shared_ptr<Tensor>> tensors_;
};

}  // namespace mxvideo::kernels
