// The scheme "none": weights stay as the checkpoint stores them (F32, F16 or BF16) and multiply
// fp32 activations exactly decoded.
#pragma once

#include <string>

#include "quantization/linear_method.h"

namespace mxvideo::quantization {

class UnquantizedLinear : public LinearMethod {
 public:
  // `reason`: why this layer is left out of a quantized run; empty under the scheme "none".
  UnquantizedLinear(std::string name, const LinearShape& shape, std::string reason);

  const char* scheme() const override;
  std::string reason() const override { return reason_; }
  void create_weights(checkpoint::ParameterLoader& loader) override;
  void process_weights_after_loading(std::span<const checkpoint::StoredTensor> tensors,
                                     kernels::Context& context) override;
  void apply(LinearInput& input, const LinearOutput& output,
             kernels::Context& context) const override;
  int64_t weight_bytes() const override { return weight_.bytes() + bias_.bytes(); }

 protected:
  // `weight` [out_features, in_features] in a float type, `bias` F32 or empty.
  void set_weight(Tensor weight, Tensor bias);

 private:
  std::string reason_;
  Tensor weight_;  // [out_features, in_features], stored dtype
  Tensor bias_;    // F32 [out_features] or empty
};

}  // namespace mxvideo::quantization
