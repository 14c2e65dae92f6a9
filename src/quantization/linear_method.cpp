#include "quantization/linear_method.h"

#include "base/error.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::quantization {

const float* LinearInput::x(kernels::Context& context) {
  if (x_ == nullptr) {
    kernels::layer_norm(norm_, context);
    x_ = norm_.y;
  }
  return x_;
}

LinearInput::Quantized LinearInput::quantized(const formats::MxOptions& options,
                                              kernels::Context& context) {
  if (quantized_.codes == nullptr || options != quantized_.options) {
    const int64_t bytes = m_ * k_ + m_ * (k_ / formats::kMxBlockSize);
    if (memory_.empty()) {
      own_memory_ = Tensor(DType::kU8, {bytes});
      memory_ = {own_memory_.data(), static_cast<size_t>(bytes)};
    }
    check(static_cast<int64_t>(memory_.size()) >= bytes, "memory for the quantized rows");
    auto* const codes = reinterpret_cast<uint8_t*>(memory_.data());
    quantized_ = {.codes = codes, .scales = codes + m_ * k_, .options = options};
    if (x_ == nullptr) {
      kernels::layer_norm_mx(norm_, quantized_, context);
    } else {
      kernels::quantize_mx({.x = x_,
                            .codes = quantized_.codes,
                            .scales = quantized_.scales,
                            .m = m_,
                            .k = k_,
                            .options = options},
                           context);
    }
  }
  return {.codes = quantized_.codes, .scales = quantized_.scales};
}

std::vector<checkpoint::ParameterSpec> linear_parameter_specs(const std::string& name,
                                                              const LinearShape& shape) {
  std::vector<checkpoint::ParameterSpec> specs = {
      {.name = name + ".weight", .shape = {shape.out_features, shape.in_features}, .dtypes = {}}};
  if (shape.bias)
    specs.push_back({.name = name + ".bias", .shape = {shape.out_features}, .dtypes = {}});
  return specs;
}

void LinearMethod::note_checkpoint_bytes(std::span<const checkpoint::StoredTensor> tensors) {
  checkpoint_bytes_ = 0;
  for (const checkpoint::StoredTensor& tensor : tensors) checkpoint_bytes_ += tensor.view.bytes();
}

}  // namespace mxvideo::quantization
