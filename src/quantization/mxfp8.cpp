#include "quantization/mxfp8.h"

#include <algorithm>

#include "base/error.h"
#include "formats/e8m0.h"
#include "kernels/quantize_mxfp8/quantize_mxfp8.h"

namespace mxvideo::quantization {
namespace {

using formats::kMxBlockSize;

// Rows decoded to fp32 at a time while a weight is quantized: bounds the scratch memory.
constexpr int64_t kRowsPerChunk = 512;

struct RowMajorMxfp8 {
  Tensor codes;   // [n, k]
  Tensor scales;  // [n, k/32]
};

RowMajorMxfp8 quantize_weight(const TensorView& stored, const formats::MxOptions& options) {
  const int64_t n = stored.shape[0];
  const int64_t k = stored.shape[1];
  RowMajorMxfp8 result{.codes = Tensor(DType::kF8E4M3, {n, k}),
                       .scales = Tensor(DType::kF8E8M0, {n, k / kMxBlockSize})};
  Tensor rows(DType::kF32, {std::min(n, kRowsPerChunk), k});
  kernels::Context context;  // every row of the op gives the same bits: no choice to make
  for (int64_t first = 0; first < n; first += kRowsPerChunk) {
    const int64_t count = std::min(kRowsPerChunk, n - first);
    convert_to_f32({.data = stored.data + first * k * dtype_size(stored.dtype),
                    .dtype = stored.dtype,
                    .shape = {count, k}},
                   rows.f32());
    kernels::quantize_mxfp8(
        {.x = rows.f32(),
         .codes = reinterpret_cast<uint8_t*>(result.codes.data()) + first * k,
         .scales = reinterpret_cast<uint8_t*>(result.scales.data()) + first * (k / kMxBlockSize),
         .m = count,
         .k = k,
         .options = options},
        context);
  }
  return result;
}

}  // namespace

Mxfp8Linear::Mxfp8Linear(std::string name, const LinearShape& shape,
                         const formats::MxOptions& options)
    : LinearMethod(std::move(name), shape), options_(options) {
  if (shape.in_features % kMxBlockSize != 0) {
    throw Error(Code::kUnsupported,
                "layer " + this->name() +
                    ": mxfp8 needs in_features that are a multiple of 32, got " +
                    std::to_string(shape.in_features) +
                    "; leave it unquantized with --quantization-ignored-layers");
  }
}

void Mxfp8Linear::create_weights(checkpoint::ParameterLoader& loader) {
  loader.add_group(linear_parameter_specs(name(), shape()),
                   [this](std::span<const checkpoint::StoredTensor> tensors) {
                     process_weights_after_loading(tensors);
                   });
}

void Mxfp8Linear::process_weights_after_loading(std::span<const checkpoint::StoredTensor> tensors) {
  const RowMajorMxfp8 quantized = quantize_weight(tensors[0].view, options_);
  const auto* scales = reinterpret_cast<const uint8_t*>(quantized.scales.data());
  const int64_t scale_count = quantized.scales.count();
  const uint8_t* bad = std::find(scales, scales + scale_count, formats::kE8m0Nan);
  if (bad != scales + scale_count) {
    const int64_t row = (bad - scales) / (shape().in_features / kMxBlockSize);
    throw Error(Code::kCorruptFile, "tensor " + name() + ".weight: row " + std::to_string(row) +
                                        " holds NaN or infinity; expected finite values");
  }
  weight_ = kernels::pack_mxfp8_weight(reinterpret_cast<const uint8_t*>(quantized.codes.data()),
                                       scales, shape().out_features, shape().in_features);
  if (shape().bias) bias_ = to_f32(tensors[1].view);
  note_checkpoint_bytes(tensors);
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

}  // namespace mxvideo::quantization
