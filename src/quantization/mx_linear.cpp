#include "quantization/mx_linear.h"

#include <algorithm>
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

void MxLinear::set_weight(const uint8_t* codes, const uint8_t* scales,
                          std::span<const checkpoint::StoredTensor> tensors) {
  set_weight(kernels::pack_mx_weight(codes, scales, shape().out_features, shape().in_features,
                                     options_.element),
             tensors);
}

void MxLinear::set_weight(kernels::PackedMxWeight weight,
                          std::span<const checkpoint::StoredTensor> tensors) {
  weight_ = std::move(weight);
  if (shape().bias) bias_ = to_f32(tensors.back().view);
  note_checkpoint_bytes(tensors);
}

checkpoint::GroupFootprint MxLinear::footprint(int64_t row_major_bytes,
                                               int64_t before_packing) const {
  const int64_t n = shape().out_features;
  const int64_t bias = shape().bias ? n * dtype_size(DType::kF32) : 0;
  const int64_t resident = kernels::packed_mx_weight_bytes(n, shape().in_features) + bias;
  return {.resident = resident,
          .transient = row_major_bytes + std::max<int64_t>(0, before_packing - resident)};
}

LinearPlan MxLinear::plan(int64_t m, kernels::Context& context) const {
  const int64_t k = shape().in_features;
  kernels::select("quantize_mx", kernels::quantize_mx_rows(), {.m = m, .k = k, .options = options_},
                  context);
  // Ordinary scales: the choice could change only with values that nearly overflow.
  kernels::PackedMxWeight weight;
  weight.n = shape().out_features;
  weight.k = k;
  weight.element = options_.element;
  kernels::select("gemm_mx", kernels::gemm_mx_rows(),
                  {.weight = &weight, .compute = context.compute}, context);
  return {.input_bytes = m * (k + k / kMxBlockSize),
          .scratch_bytes = 0,
          .norm_bytes = kernels::layer_norm_mx_workspace_bytes(m, k)};
}

bool MxLinear::quantizes_output() const { return shape().out_features % kMxBlockSize == 0; }

void MxLinear::apply(LinearInput& input, const LinearOutput& output,
                     kernels::Context& context) const {
  const LinearInput::Quantized x = input.quantized(options_, context);
  kernels::gemm_mx({.x_codes = x.codes,
                    .x_scales = x.scales,
                    .weight = &weight_,
                    .bias = bias_.empty() ? nullptr : bias_.f32(),
                    .y = output.y,
                    .mx = output.mx,
                    .m = input.m(),
                    .compute = context.compute,
                    .epilogue = output.epilogue,
                    .residual = output.residual,
                    .gate = output.gate,
                    .gate_stride = output.gate_stride,
                    .gate_row = output.gate_row},
                   context);
}

std::optional<LinearProduct> MxLinear::product(const kernels::Context& context) const {
  const kernels::GemmMxChoice choice = kernels::choose_gemm_mx(weight_, context);
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
  loader.add_group(
      linear_parameter_specs(name(), shape()),
      [this](std::span<const checkpoint::StoredTensor> tensors) {
        process_weights_after_loading(tensors);
      },
      [this](std::span<const checkpoint::StoredTensor>) {
        return footprint(
            quantize_and_pack_workspace_bytes(shape().out_features, shape().in_features), 0);
      });
}

void OnlineMxLinear::process_weights_after_loading(
    std::span<const checkpoint::StoredTensor> tensors) {
  set_weight(quantize_and_pack(name() + ".weight", tensors[0].view, options()), tensors);
}

}  // namespace mxvideo::quantization
