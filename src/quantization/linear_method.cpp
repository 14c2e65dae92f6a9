#include "quantization/linear_method.h"

#include "base/error.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::quantization {

LinearInput::LinearInput(const LinearResult& result, std::span<std::byte> memory)
    : m_(result.input->m()),
      k_(result.layer->shape().out_features),
      result_(result),
      memory_(memory) {}

const float* LinearInput::x(kernels::Context& context) {
  if (x_ != nullptr) return x_;
  if (result_.layer == nullptr) {
    kernels::layer_norm(norm_, context);
    x_ = norm_.y;
  } else {
    quantized_ = {};  // it may lie where the floats go
    result_.layer->apply(*result_.input, {.y = result_.y, .epilogue = result_.epilogue}, context);
    x_ = result_.y;
  }
  return x_;
}

LinearInput::Quantized LinearInput::quantized(const formats::MxOptions& options,
                                              kernels::Context& context) {
  if (quantized_.codes == nullptr || options != quantized_.options) {
    const bool from_layer = x_ == nullptr && result_.layer != nullptr;
    if (from_layer && result_.layer->quantizes_output()) {
      quantize_result(options, context);
    } else {
      if (from_layer) x(context);
      use_memory_for_quantized(options);
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
  }
  return {.codes = quantized_.codes, .scales = quantized_.scales};
}

void LinearInput::quantize_result(const formats::MxOptions& options, kernels::Context& context) {
  place_quantized(result_.y, options);
  result_.layer->apply(*result_.input, {.mx = quantized_, .epilogue = result_.epilogue}, context);
}

void LinearInput::use_memory_for_quantized(const formats::MxOptions& options) {
  const int64_t bytes = m_ * k_ + m_ * (k_ / formats::kMxBlockSize);
  if (memory_.empty()) {
    own_memory_ = Tensor(DType::kU8, {bytes});
    memory_ = {own_memory_.data(), static_cast<size_t>(bytes)};
  }
  check(static_cast<int64_t>(memory_.size()) >= bytes, "memory for the quantized rows");
  place_quantized(memory_.data(), options);
}

void LinearInput::place_quantized(void* memory, const formats::MxOptions& options) {
  auto* const codes = static_cast<uint8_t*>(memory);
  quantized_ = {.codes = codes, .scales = codes + m_ * k_, .options = options};
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
