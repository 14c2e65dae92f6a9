#include "quantization/mxfp8.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/quantize_mxfp8/quantize_mxfp8.h"
#include "quantization/mxfp8_weight.h"

namespace mxvideo::quantization {
namespace {

using formats::kMxBlockSize;

struct RowMajorMxfp8 {
  Tensor codes;   // [n, k]
  Tensor scales;  // [n, k/32]
};

RowMajorMxfp8 quantize_weight(const TensorView& stored, const formats::MxOptions& options) {
  const int64_t n = stored.shape[0];
  const int64_t k = stored.shape[1];
  RowMajorMxfp8 result{.codes = Tensor(DType::kF8E4M3, {n, k}),
                       .scales = Tensor(DType::kF8E8M0, {n, k / kMxBlockSize})};
  Tensor rows(DType::kF32, {std::min(n, kMxfp8RowsPerChunk), k});
  for (int64_t first = 0; first < n; first += kMxfp8RowsPerChunk) {
    const int64_t count = std::min(kMxfp8RowsPerChunk, n - first);
    const int64_t blocks = first * (k / kMxBlockSize);
    quantize_weight_rows({.stored = {.data = stored.data + first * k * dtype_size(stored.dtype),
                                     .dtype = stored.dtype,
                                     .shape = {count, k}},
                          .values = rows.f32(),
                          .codes = reinterpret_cast<uint8_t*>(result.codes.data()) + first * k,
                          .scales = reinterpret_cast<uint8_t*>(result.scales.data()) + blocks},
                         options);
  }
  return result;
}

}  // namespace

void Mxfp8Linear::set_weight(const uint8_t* codes, const uint8_t* scales,
                             std::span<const checkpoint::StoredTensor> tensors) {
  weight_ = kernels::pack_mxfp8_weight(codes, scales, shape().out_features, shape().in_features,
                                       options_.element);
  if (shape().bias) bias_ = to_f32(tensors.back().view);
  note_checkpoint_bytes(tensors);
}

checkpoint::GroupFootprint Mxfp8Linear::footprint(int64_t row_major_bytes,
                                                  int64_t before_packing) const {
  const int64_t n = shape().out_features;
  const int64_t bias = shape().bias ? n * dtype_size(DType::kF32) : 0;
  const int64_t resident = kernels::packed_mxfp8_weight_bytes(n, shape().in_features) + bias;
  return {.resident = resident,
          .transient = row_major_bytes + std::max<int64_t>(0, before_packing - resident)};
}

LinearPlan Mxfp8Linear::plan(int64_t m, kernels::Context& context) const {
  const int64_t k = shape().in_features;
  kernels::select("quantize_mxfp8", kernels::quantize_mxfp8_rows(),
                  {.m = m, .k = k, .options = options_}, context);
  // Ordinary scales: the choice could change only with values that nearly overflow.
  kernels::PackedMxfp8Weight weight;
  weight.n = shape().out_features;
  weight.k = k;
  weight.element = options_.element;
  kernels::select("gemm_mxfp8", kernels::gemm_mxfp8_rows(), {.weight = &weight}, context);
  return {.input_bytes = m * (k + k / kMxBlockSize),
          .scratch_bytes = 0,
          .norm_bytes = kernels::layer_norm_mxfp8_workspace_bytes(m, k)};
}

void Mxfp8Linear::apply(LinearInput& input, const LinearOutput& output,
                        kernels::Context& context) const {
  const LinearInput::Mxfp8 x = input.mxfp8(options_, context);
  kernels::gemm_mxfp8({.x_codes = x.codes,
                       .x_scales = x.scales,
                       .weight = &weight_,
                       .bias = bias_.empty() ? nullptr : bias_.f32(),
                       .y = output.y,
                       .m = input.m(),
                       .epilogue = output.epilogue,
                       .residual = output.residual,
                       .gate = output.gate,
                       .gate_stride = output.gate_stride,
                       .gate_row = output.gate_row},
                      context);
}

OnlineMxfp8Linear::OnlineMxfp8Linear(std::string name, const LinearShape& shape,
                                     const formats::MxOptions& options)
    : Mxfp8Linear(std::move(name), shape, options) {
  if (shape.in_features % kMxBlockSize != 0) {
    throw Error(Code::kUnsupported,
                "layer " + this->name() + ": " + scheme() +
                    " needs in_features that are a multiple of 32, got " +
                    std::to_string(shape.in_features) +
                    "; leave it unquantized with --quantization-ignored-layers");
  }
}

void OnlineMxfp8Linear::create_weights(checkpoint::ParameterLoader& loader) {
  loader.add_group(
      linear_parameter_specs(name(), shape()),
      [this](std::span<const checkpoint::StoredTensor> tensors) {
        process_weights_after_loading(tensors);
      },
      [this](std::span<const checkpoint::StoredTensor>) {
        const int64_t n = shape().out_features, k = shape().in_features;
        const int64_t decoded_rows = std::min(n, kMxfp8RowsPerChunk) * k * dtype_size(DType::kF32);
        return footprint(n * (k + k / kMxBlockSize), decoded_rows);
      });
}

void OnlineMxfp8Linear::process_weights_after_loading(
    std::span<const checkpoint::StoredTensor> tensors) {
  const RowMajorMxfp8 quantized = quantize_weight(tensors[0].view, options());
  const auto* scales = reinterpret_cast<const uint8_t*>(quantized.scales.data());
  check_mxfp8_scales(name() + ".weight", scales, quantized.scales.shape(), 0);
  set_weight(reinterpret_cast<const uint8_t*>(quantized.codes.data()), scales, tensors);
}

}  // namespace mxvideo::quantization
