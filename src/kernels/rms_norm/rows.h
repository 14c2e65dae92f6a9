// The implementations behind rms_norm_rows(); each runs the rows it is given on one thread.
#pragma once

#include "kernels/rms_norm/rms_norm.h"

namespace mxvideo::kernels {

void rms_norm_highway(const RmsNormArgs& args) noexcept;
void rms_norm_reference(const RmsNormArgs& args) noexcept;

// By CANN, on an Ascend NPU.
const char* rms_norm_ascend_reject(const RmsNormArgs& args, const RunPolicy& policy) noexcept;
void rms_norm_ascend(const RmsNormArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
