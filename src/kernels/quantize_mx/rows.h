// The implementations behind quantize_mx_rows(). Each runs on the calling thread.
#pragma once

#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::kernels {

void quantize_mx_reference(const QuantizeMxArgs& args) noexcept;
void quantize_mx_highway(const QuantizeMxArgs& args) noexcept;

// By CANN, on an Ascend NPU.
const char* quantize_mx_ascend_reject(const QuantizeMxArgs& args, const RunPolicy& policy) noexcept;
void quantize_mx_ascend(const QuantizeMxArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
