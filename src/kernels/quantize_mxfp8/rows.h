// The implementations behind quantize_mxfp8_rows(). Each runs on the calling thread.
#pragma once

#include "kernels/quantize_mxfp8/quantize_mxfp8.h"

namespace mxvideo::kernels {

void quantize_mxfp8_reference(const QuantizeMxfp8Args& args) noexcept;
void quantize_mxfp8_highway(const QuantizeMxfp8Args& args) noexcept;

}  // namespace mxvideo::kernels
