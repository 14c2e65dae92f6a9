// Runs the ops that use libraries or thread-local buffers once, on all threads, so that the memory
// which a process of this program takes for code, libraries and threads is there and can be
// measured. Not thread-safe.
#pragma once

namespace mxvideo::kernels {

void warm_up();

}  // namespace mxvideo::kernels
