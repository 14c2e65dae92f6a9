// The implementations behind quantize_mx_rows(). Each runs on the calling thread.
#pragma once

#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::kernels {

void quantize_mx_reference(const QuantizeMxArgs& args) noexcept;
void quantize_mx_highway(const QuantizeMxArgs& args) noexcept;

}  // namespace mxvideo::kernels
