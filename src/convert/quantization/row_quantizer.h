// Rows of a weight to MXFP8 or MXINT8, with their report, a few rows at a time: each is decoded,
// quantized and measured while it lies in the cache of one core.
#pragma once

#include <cstdint>

#include "convert/quantization/quantization_report.h"
#include "formats/mx_block.h"
#include "tensor/tensor.h"

namespace mxvideo::convert {

struct QuantizedRows {
  TensorView stored;          // [rows, k] F32, F16 or BF16; k is a multiple of 32
  uint8_t* codes = nullptr;   // [rows, k]
  uint8_t* scales = nullptr;  // [rows, k/32]
};

// Adds consecutive rows of one layer to its report. Both have the same bits for any number of
// threads, which are made for each call. Numerics: quantization/mx_weight.h. Throws
// Code::kCorruptFile naming report.layer and the row for NaN or infinity.
void quantize_and_measure(const QuantizedRows& rows, const formats::MxOptions& options,
                          LayerReport& report);

}  // namespace mxvideo::convert
