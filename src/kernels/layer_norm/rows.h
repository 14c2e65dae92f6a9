// The implementations behind layer_norm_rows(); each runs the rows it is given on one thread.
#pragma once

#include "kernels/layer_norm/layer_norm.h"

namespace mxvideo::kernels {

void layer_norm_highway(const LayerNormArgs& args) noexcept;
void layer_norm_reference(const LayerNormArgs& args) noexcept;

}  // namespace mxvideo::kernels
