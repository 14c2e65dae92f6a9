// Weights to MXFP8 or MXINT8: the one path that both the online scheme and the offline converter
// take, so that they give the same bits for the same options. Numerics: formats/mx_block.h.
// Thread-compatible; parallel inside, with the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <string>

#include "formats/mx_block.h"
#include "kernels/gemm_mx/gemm_mx.h"
#include "tensor/tensor.h"

namespace mxvideo::quantization {

// Consecutive rows of a weight and where their quantized form goes.
struct MxRows {
  TensorView stored;          // [rows, k] F32, F16 or BF16; k is a multiple of 32
  float* values = nullptr;    // [rows, k]: the decoded rows
  uint8_t* codes = nullptr;   // [rows, k]
  uint8_t* scales = nullptr;  // [rows, k/32]
};

// A block that holds NaN or infinity gets scale 255.
void quantize_weight_rows(const MxRows& rows, const formats::MxOptions& options);

// kernels::quantize_mx_weight(), but throws Code::kCorruptFile naming `tensor` and a row that holds
// NaN or infinity.
kernels::MxWeightPtr quantize_and_pack(const std::string& tensor, const TensorView& stored,
                                       const formats::MxOptions& options,
                                       kernels::Context& context);

// Throws Code::kCorruptFile naming tensor and row when a scale is 255; `shape` is that of the
// scales, `first_row` the number of their first row.
void check_mx_scales(const std::string& tensor, const uint8_t* scales, const Shape& shape,
                     int64_t first_row);

}  // namespace mxvideo::quantization
