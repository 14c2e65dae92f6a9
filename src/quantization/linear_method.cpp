#include "quantization/linear_method.h"

#include "base/error.h"
#include "kernels/quantize_mxfp8/quantize_mxfp8.h"

namespace mxvideo::quantization {

LinearInput::Mxfp8 LinearInput::mxfp8(const formats::MxOptions& options,
                                      kernels::Context& context) {
  if (codes_.empty()) {
    codes_ = Tensor(DType::kF8E4M3, {m_, k_});
    scales_ = Tensor(DType::kF8E8M0, {m_, k_ / formats::kMxBlockSize});
    options_ = options;
    kernels::quantize_mxfp8({.x = x_,
                             .codes = reinterpret_cast<uint8_t*>(codes_.data()),
                             .scales = reinterpret_cast<uint8_t*>(scales_.data()),
                             .m = m_,
                             .k = k_,
                             .options = options},
                            context);
  }
  check(options == options_, "one input is quantized with one set of options");
  return {.codes = reinterpret_cast<const uint8_t*>(codes_.data()),
          .scales = reinterpret_cast<const uint8_t*>(scales_.data())};
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
