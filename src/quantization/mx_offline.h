// Linear layers whose weights the files hold in MXFP8 or MXINT8: "<name>.weight" F8_E4M3 or I8
// [out, in], "<name>.weight_scale" U8 or F8_E8M0 [out, in/32], "<name>.bias". Nothing is quantized
// again: the stored codes and scales are the weights, whatever rule they were made by; -128, which
// no quantizer of ours makes, is -2.
#pragma once

#include <string>

#include "formats/scale_layout.h"
#include "quantization/mx_linear.h"
#include "quantization/unquantized.h"

namespace mxvideo::quantization {

class OfflineMxLinear final : public MxLinear {
 public:
  // `activations.element` is that of the weights too. Throws Code::kUnsupported when in_features is
  // no multiple of 32.
  OfflineMxLinear(std::string name, const LinearShape& shape, formats::ScaleLayout scale_layout,
                  const formats::MxOptions& activations);

  void create_weights(checkpoint::ParameterLoader& loader) override;
  // Throws Code::kCorruptFile when an E4M3 code is NaN.
  void process_weights_after_loading(std::span<const checkpoint::StoredTensor> tensors,
                                     kernels::Context& context) override;

 private:
  formats::ScaleLayout scale_layout_;
};

// The same files for a layer that the user wants unquantized: weights decoded exactly (to BF16, or
// to F32 where BF16 cannot hold a value), activations in fp32.
class DequantizedMxLinear final : public UnquantizedLinear {
 public:
  DequantizedMxLinear(std::string name, const LinearShape& shape, formats::ScaleLayout scale_layout,
                      formats::MxElement element, std::string reason);

  void create_weights(checkpoint::ParameterLoader& loader) override;
  void process_weights_after_loading(std::span<const checkpoint::StoredTensor> tensors,
                                     kernels::Context& context) override;

 private:
  formats::ScaleLayout scale_layout_;
  formats::MxElement element_;
};

// Weight [n, k] of row-major codes and scales, decoded: BF16 when that is exact, otherwise F32.
Tensor dequantize_mx_weight(const uint8_t* codes, const uint8_t* scales, const Shape& shape,
                            formats::MxElement element, Device& device = cpu_device());

}  // namespace mxvideo::quantization
