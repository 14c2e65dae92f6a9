// MXFP8 and MXINT8 linear layers: weights of 8 bits, packed once at load; activations quantized per
// call. Numerics: formats/mx_block.h and kernels/gemm_mx/gemm_mx.h.
//
// The weights come from float tensors, quantized as they are read (online), or from files that
// hold them quantized (offline, mx_offline.h). Same values, same bits in both cases.
#pragma once

#include <cstdint>
#include <string>

#include "quantization/linear_method.h"

namespace mxvideo::quantization {

// What the two ways of getting weights share.
class MxLinear : public LinearMethod {
 public:
  const char* scheme() const override { return formats::mx_format_name(options_.element).data(); }
  bool quantizes_output() const override;
  void apply(LinearInput& input, const LinearOutput& output,
             kernels::Context& context) const override;
  int64_t quantized_input_bytes(int64_t m) const override;
  std::optional<LinearProduct> product(const kernels::Context& context) const override;
  int64_t weight_bytes() const override { return weight_ ? weight_->bytes() + bias_.bytes() : 0; }

  const kernels::MxWeight& weight() const { return *weight_; }

 protected:
  // `activations`: how inputs are quantized.
  MxLinear(std::string name, const LinearShape& shape, const formats::MxOptions& activations)
      : LinearMethod(std::move(name), shape), options_(activations) {}

  const formats::MxOptions& options() const { return options_; }
  // Keeps the weight, and the bias as F32. `tensors` are all of the layer's, the bias last.
  void set_weight(kernels::MxWeightPtr weight, std::span<const checkpoint::StoredTensor> tensors,
                  const kernels::Context& context);

 private:
  formats::MxOptions options_;
  kernels::MxWeightPtr weight_;
  Tensor bias_;  // F32 [out_features] or empty
};

// The schemes "mxfp8" and "mxint8".
class OnlineMxLinear final : public MxLinear {
 public:
  // Throws Code::kUnsupported when in_features is no multiple of 32.
  OnlineMxLinear(std::string name, const LinearShape& shape, const formats::MxOptions& options);

  void create_weights(checkpoint::ParameterLoader& loader) override;
  // Throws Code::kCorruptFile when the weight holds NaN or infinity.
  void process_weights_after_loading(std::span<const checkpoint::StoredTensor> tensors,
                                     kernels::Context& context) override;
};

}  // namespace mxvideo::quantization
