// The implementations behind elementwise_rows(); each runs the elements it is given on one thread.
#pragma once

#include "kernels/elementwise/elementwise.h"

namespace mxvideo::kernels {

void elementwise_highway(const ElementwiseArgs& args) noexcept;
void elementwise_reference(const ElementwiseArgs& args) noexcept;

// By CANN, on an Ascend NPU.
void elementwise_ascend(const ElementwiseArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
