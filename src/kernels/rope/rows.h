// The implementations behind rope_rows(); each runs the rows it is given on one thread.
#pragma once

#include "kernels/rope/rope.h"

namespace mxvideo::kernels {

void rope_highway(const RopeArgs& args) noexcept;
void rope_reference(const RopeArgs& args) noexcept;

// By CANN, on an Ascend NPU.
void rope_ascend(const RopeArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
