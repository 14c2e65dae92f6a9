#include "ascend/rows_fixture.h"

#include <limits>

namespace mxvideo::test {
namespace {

std::vector<float> numbers(const Tensor& tensor) {
  if (tensor.dtype() == DType::kF32 || tensor.dtype() == DType::kBF16) return host_floats(tensor);
  const Tensor host = tensor.copy_to(cpu_device());
  if (tensor.dtype() == DType::kI32) {
    const auto* const values = reinterpret_cast<const int32_t*>(host.data());
    return {values, values + host.count()};
  }
  const auto* const values = reinterpret_cast<const uint8_t*>(host.data());
  return {values, values + host.count()};
}

std::vector<std::vector<float>> run(const Operation& operation, kernels::Context& context) {
  Maker maker(context);
  std::vector<std::vector<float>> all;
  const std::vector<Tensor> results = operation(maker);
  context.device().synchronize();
  for (const Tensor& result : results) all.push_back(numbers(result));
  return all;
}

}  // namespace

std::vector<float> Maker::normal(int64_t count, float scale) {
  std::normal_distribution<float> distribution;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = formats::decode_bf16(formats::encode_bf16(scale * distribution(random_)));
  }
  return values;
}

Tensor Maker::on_device(DType dtype, const Shape& shape, const std::vector<float>& values) {
  Tensor host(dtype, shape);
  if (dtype == DType::kF32) {
    std::copy(values.begin(), values.end(), host.f32());
  } else {
    auto* const to = reinterpret_cast<uint16_t*>(host.data());
    for (size_t i = 0; i < values.size(); ++i) {
      to[i] =
          dtype == DType::kBF16 ? formats::encode_bf16(values[i]) : formats::encode_fp16(values[i]);
    }
  }
  return host.copy_to(context_.device());
}

Tensor Maker::activations(const Shape& shape) {
  return on_device(context_.device().activation_type(), shape, normal(shape.count(), 1));
}

Tensor Maker::f32(const Shape& shape, float scale) {
  return on_device(DType::kF32, shape, normal(shape.count(), scale));
}

Tensor Maker::of(DType dtype, const Shape& shape) {
  return on_device(dtype, shape, normal(shape.count(), 1));
}

Tensor Maker::bytes(const std::vector<uint8_t>& values) {
  Tensor host(DType::kU8, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), reinterpret_cast<uint8_t*>(host.data()));
  return host.copy_to(context_.device());
}

Tensor Maker::indices(const std::vector<int32_t>& values) { return context_.upload(values); }

Tensor Maker::result(const Shape& shape) {
  const std::vector<float> nan(static_cast<size_t>(shape.count()),
                               std::numeric_limits<float>::quiet_NaN());
  return on_device(context_.device().activation_type(), shape, nan);
}

Tensor Maker::result_f32(const Shape& shape) {
  const std::vector<float> nan(static_cast<size_t>(shape.count()),
                               std::numeric_limits<float>::quiet_NaN());
  return on_device(DType::kF32, shape, nan);
}

Tensor Maker::result_bytes(int64_t count) {
  return bytes(std::vector<uint8_t>(static_cast<size_t>(count), 0xFF));
}

Results run_on_both(const Operation& operation) {
  Results results;
  kernels::Context host;
  results.host = run(operation, host);
  StandInNpu npu;
  kernels::Context context({}, npu.device());
  results.npu = run(operation, context);
  return results;
}

void expect_parity(const Operation& operation, double roundings) {
  const Results results = run_on_both(operation);
  ASSERT_EQ(results.npu.size(), results.host.size());
  for (size_t i = 0; i < results.host.size(); ++i) {
    SCOPED_TRACE("result " + std::to_string(i));
    if (roundings == 0) {
      EXPECT_EQ(results.npu[i], results.host[i]);
    } else {
      EXPECT_LT(relative_rms(results.npu[i], results.host[i]), roundings * kBf16);
    }
  }
}

}  // namespace mxvideo::test
