// The implementations behind rms_norm_rows(); each runs the rows it is given on one thread.
#pragma once

#include "kernels/rms_norm/rms_norm.h"

namespace mxvideo::kernels {

void rms_norm_highway(const RmsNormArgs& args) noexcept;
void rms_norm_reference(const RmsNormArgs& args) noexcept;

}  // namespace mxvideo::kernels
