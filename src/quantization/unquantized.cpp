#include "quantization/unquantized.h"

#include <cstring>

#include "base/error.h"
#include "kernels/matmul/matmul.h"

namespace mxvideo::quantization {

UnquantizedLinear::UnquantizedLinear(std::string name, const LinearShape& shape, std::string reason)
    : LinearMethod(std::move(name), shape), reason_(std::move(reason)) {}

void UnquantizedLinear::create_weights(checkpoint::ParameterLoader& loader) {
  loader.add_group(
      linear_parameter_specs(name(), shape()),
      [this](std::span<const checkpoint::StoredTensor> tensors) {
        process_weights_after_loading(tensors);
      },
      [this](std::span<const checkpoint::StoredTensor> tensors) {
        const int64_t bias = shape().bias ? shape().out_features : 0;
        return checkpoint::GroupFootprint{
            .resident = tensors[0].view.bytes() + bias * dtype_size(DType::kF32), .transient = 0};
      });
}

void UnquantizedLinear::process_weights_after_loading(
    std::span<const checkpoint::StoredTensor> tensors) {
  const TensorView& stored = tensors[0].view;
  weight_ = Tensor(stored.dtype, stored.shape);
  std::memcpy(weight_.data(), stored.data, static_cast<size_t>(stored.bytes()));
  if (shape().bias) bias_ = to_f32(tensors[1].view);
  note_checkpoint_bytes(tensors);
}

LinearPlan UnquantizedLinear::plan(int64_t m, kernels::Context& context) const {
  kernels::select("matmul", kernels::matmul_rows(),
                  {.m = m, .n = shape().out_features, .k = shape().in_features}, context);
  return {.input_bytes = 0,
          .scratch_bytes = kernels::matmul_workspace_bytes(m, shape().out_features),
          .norm_bytes = 0};
}

void UnquantizedLinear::set_weight(Tensor weight, Tensor bias) {
  weight_ = std::move(weight);
  bias_ = std::move(bias);
}

void UnquantizedLinear::apply(LinearInput& input, const LinearOutput& output,
                              kernels::Context& context) const {
  check(output.mx.codes == nullptr, "an unquantized layer writes floats");
  kernels::matmul({.x = input.x(context),
                   .weight = weight_.data(),
                   .weight_dtype = weight_.dtype(),
                   .bias = bias_.empty() ? nullptr : bias_.f32(),
                   .y = output.y,
                   .m = input.m(),
                   .n = shape().out_features,
                   .k = shape().in_features,
                   .epilogue = output.epilogue,
                   .residual = output.residual,
                   .gate = output.gate,
                   .gate_stride = output.gate_stride,
                   .gate_row = output.gate_row},
                  context);
}

}  // namespace mxvideo::quantization
