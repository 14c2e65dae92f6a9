#include "quantization/unquantized.h"

#include "base/error.h"
#include "kernels/matmul/matmul.h"
#include "quantization/quantization_config.h"

namespace mxvideo::quantization {

UnquantizedLinear::UnquantizedLinear(std::string name, const LinearShape& shape, std::string reason)
    : LinearMethod(std::move(name), shape), reason_(std::move(reason)) {}

const char* UnquantizedLinear::scheme() const { return kNoScheme; }

void UnquantizedLinear::create_weights(checkpoint::ParameterLoader& loader) {
  add_to(loader, linear_parameter_specs(name(), shape()));
}

void UnquantizedLinear::process_weights_after_loading(
    std::span<const checkpoint::StoredTensor> tensors, kernels::Context& context) {
  weight_ = stored_copy(tensors[0].view, context.device());
  if (shape().bias) bias_ = to_f32(tensors[1].view, context.device());
  note_checkpoint_bytes(tensors);
}

void UnquantizedLinear::set_weight(Tensor weight, Tensor bias) {
  weight_ = std::move(weight);
  bias_ = std::move(bias);
}

void UnquantizedLinear::apply(LinearInput& input, const LinearOutput& output,
                              kernels::Context& context) const {
  check(output.mx.codes == nullptr, "an unquantized layer writes floats");
  kernels::matmul({.x = input.x(context),
                   .weight = weight_,
                   .weight_dtype = weight_.dtype(),
                   .y = output.y,
                   .m = input.m(),
                   .n = shape().out_features,
                   .k = shape().in_features,
                   .epilogue = with_bias(output, bias_)},
                  context);
}

}  // namespace mxvideo::quantization
