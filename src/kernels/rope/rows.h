// The implementations behind rope_rows(); each runs the rows it is given on one thread.
#pragma once

#include "kernels/rope/rope.h"

namespace mxvideo::kernels {

void rope_highway(const RopeArgs& args) noexcept;
void rope_reference(const RopeArgs& args) noexcept;

}  // namespace mxvideo::kernels
