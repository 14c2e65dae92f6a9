// The implementations behind layer_norm_rows(); each runs the rows it is given on one thread.
#pragma once

#include "kernels/layer_norm/layer_norm.h"

namespace mxvideo::kernels {

void layer_norm_highway(const LayerNormArgs& args) noexcept;
void layer_norm_reference(const LayerNormArgs& args) noexcept;

// By CANN, on an Ascend NPU.
const char* layer_norm_ascend_reject(const LayerNormArgs& args, const RunPolicy& policy) noexcept;
void layer_norm_mx_ascend(const LayerNormArgs& args, const MxOutput& output, Context& context);
void layer_norm_ascend(const LayerNormArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
