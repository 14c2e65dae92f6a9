#include "quantization/mx_linear.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "kernels/quantize_mx/quantize_mx.h"
#include "quantization/mx_weight.h"

namespace mxvideo::quantization {
namespace {

using formats::kMxBlockSize;

}  // namespace

void MxLinear::set_weight(kernels::MxWeightPtr weight,
                          std::span<const checkpoint::StoredTensor> tensors,
                          const kernels::Context& context) {
  weight_ = std::move(weight);
  if (shape().bias) bias_ = to_f32(tensors.back().view, context.device());
  note_checkpoint_bytes(tensors);
}

int64_t MxLinear::quantized_input_bytes(int64_t m) const {
  const int64_t k = shape().in_features;
  return m * (k + k / kMxBlockSize);
}

bool MxLinear::quantizes_output() const { return shape().out_features % kMxBlockSize == 0; }

void MxLinear::apply(LinearInput& input, const LinearOutput& output,
                     kernels::Context& context) const {
  const LinearInput::Quantized x = input.quantized(options_, context);
  kernels::gemm_mx({.x_codes = x.codes,
                    .x_scales = x.scales,
                    .weight = weight_.get(),
                    .y = output.y,
                    .mx = output.mx,
                    .m = input.m(),
                    .epilogue = with_bias(output, bias_)},
                   context);
}

std::optional<LinearProduct> MxLinear::product(const kernels::Context& context) const {
  const kernels::GemmMxChoice choice = kernels::choose_gemm_mx(*weight_, context);
  return LinearProduct{.kernel = choice.row,
                       .added_noise_db = 10 * std::log10(1 + choice.noise / kernels::kE4m3Noise)};
}

OnlineMxLinear::OnlineMxLinear(std::string name, const LinearShape& shape,
                               const formats::MxOptions& options)
    : MxLinear(std::move(name), shape, options) {
  if (shape.in_features % kMxBlockSize != 0) {
    throw Error(Code::kUnsupported, "layer " + this->name() + ": " + scheme() +
                                        " needs in_features that are a multiple of 32, got " +
                                        std::to_string(shape.in_features) +
                                        "; leave it unquantized with " +
                                        field("quantization_ignored_layers"));
  }
}

void OnlineMxLinear::create_weights(checkpoint::ParameterLoader& loader) {
  add_to(loader, linear_parameter_specs(name(), shape()));
}

void OnlineMxLinear::process_weights_after_loading(
    std::span<const checkpoint::StoredTensor> tensors, kernels::Context& context) {
  set_weight(quantize_and_pack(name() + ".weight", tensors[0].view, options(), context), tensors,
             context);
}

}  // namespace mxvideo::quantization
