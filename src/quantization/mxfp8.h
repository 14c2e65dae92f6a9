// The scheme "mxfp8", online: weights are quantized to MXFP8 as they are read and packed at once,
// activations per call. Numerics: formats/mx_block.h and kernels/gemm_mxfp8/gemm_mxfp8.h.
#pragma once

#include <string>

#include "quantization/linear_method.h"

namespace mxvideo::quantization {

class Mxfp8Linear final : public LinearMethod {
 public:
  // Throws Code::kUnsupported when in_features is no multiple of 32.
  Mxfp8Linear(std::string name, const LinearShape& shape, const formats::MxOptions& options);

  const char* scheme() const override { return "mxfp8"; }
  void create_weights(checkpoint::ParameterLoader& loader) override;
  // Throws Code::kCorruptFile when the weight holds NaN or infinity.
  void process_weights_after_loading(std::span<const checkpoint::StoredTensor> tensors) override;
  void apply(LinearInput& input, const LinearOutput& output,
             kernels::Context& context) const override;
  int64_t weight_bytes() const override { return weight_.bytes() + bias_.bytes(); }

  const kernels::PackedMxfp8Weight& weight() const { return weight_; }

 private:
  formats::MxOptions options_;
  kernels::PackedMxfp8Weight weight_;
  Tensor bias_;  // F32 [out_features] or empty
};

}  // namespace mxvideo::quantization
