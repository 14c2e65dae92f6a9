#include "quantization/linear_method.h"

#include "base/error.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::quantization {

LinearInput::LinearInput(const LinearResult& result, Tensor* memory)
    : m_(result.input->m()),
      k_(result.layer->shape().out_features),
      source_(result),
      memory_(memory) {}

DevicePtr<const float> LinearInput::x(kernels::Context& context) {
  if (x_ != nullptr) return x_;
  if (const auto* norm = std::get_if<kernels::LayerNormArgs>(&source_)) {
    kernels::layer_norm(*norm, context);
    x_ = norm->y;
  } else if (const auto* attention = std::get_if<kernels::AttentionArgs>(&source_)) {
    kernels::attention(*attention, context);
    x_ = attention->out;
  } else {
    const auto& result = std::get<LinearResult>(source_);
    quantized_ = {};  // it may lie where the floats go
    result.layer->apply(*result.input, {.y = result.y, .epilogue = {.kind = result.epilogue}},
                        context);
    x_ = result.y;
  }
  return x_;
}

LinearInput::Quantized LinearInput::quantized(const formats::MxOptions& options,
                                              kernels::Context& context) {
  const bool have = quantized_.codes != nullptr && options == quantized_.options;
  if (!have && (x_ != nullptr || !make_quantized(options, context))) {
    const DevicePtr<const float> rows = x(context);
    use_memory_for_quantized(options, context);
    kernels::quantize_mx({.x = rows,
                          .codes = quantized_.codes,
                          .scales = quantized_.scales,
                          .m = m_,
                          .k = k_,
                          .options = options},
                         context);
  }
  return {.codes = quantized_.codes, .scales = quantized_.scales};
}

bool LinearInput::make_quantized(const formats::MxOptions& options, kernels::Context& context) {
  if (const auto* norm = std::get_if<kernels::LayerNormArgs>(&source_)) {
    use_memory_for_quantized(options, context);
    kernels::layer_norm_mx(*norm, quantized_, context);
    return true;
  }
  if (const auto* attention = std::get_if<kernels::AttentionArgs>(&source_)) {
    if (attention->head_dim % formats::kMxBlockSize != 0) return false;
    use_memory_for_quantized(options, context);
    kernels::AttentionArgs args = *attention;
    args.mx = quantized_;
    kernels::attention(args, context);
    return true;
  }
  const auto& result = std::get<LinearResult>(source_);
  if (!result.layer->quantizes_output()) return false;
  place_quantized(result.y, options);
  result.layer->apply(*result.input, {.mx = quantized_, .epilogue = {.kind = result.epilogue}},
                      context);
  return true;
}

void LinearInput::use_memory_for_quantized(const formats::MxOptions& options,
                                           const kernels::Context& context) {
  const int64_t bytes = m_ * k_ + m_ * (k_ / formats::kMxBlockSize);
  if (memory_ == nullptr) {
    own_memory_ = context.tensor({bytes}, DType::kU8);
    memory_ = &own_memory_;
  }
  check(memory_->bytes() >= bytes, "memory for the quantized rows");
  place_quantized(DevicePtr<std::byte>(*memory_), options);
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

void LinearMethod::add_to(checkpoint::ParameterLoader& loader,
                          std::vector<checkpoint::ParameterSpec> specs) {
  loader.add_group(std::move(specs), [this](std::span<const checkpoint::StoredTensor> tensors,
                                            kernels::Context& context) {
    process_weights_after_loading(tensors, context);
  });
}

kernels::EpilogueArgs LinearMethod::with_bias(const LinearOutput& output, const Tensor& bias) {
  kernels::EpilogueArgs epilogue = output.epilogue;
  epilogue.bias = bias;
  return epilogue;
}

void LinearMethod::note_checkpoint_bytes(std::span<const checkpoint::StoredTensor> tensors) {
  checkpoint_bytes_ = 0;
  for (const checkpoint::StoredTensor& tensor : tensors) checkpoint_bytes_ += tensor.view.bytes();
}

}  // namespace mxvideo::quantization
