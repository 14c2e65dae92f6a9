// What an epilogue adds to the workload of a product.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/common/epilogue.h"
#include "kernels/common/workload.h"

namespace mxvideo::kernels {

// "", " gelu", " gated"
std::string epilogue_name(const EpilogueArgs& args);
// Bytes that it reads besides the product's: bias, residual and one row of the gate.
double epilogue_bytes(const EpilogueArgs& args, int64_t m, int64_t n);
// The same kind for a product of [m, n], with operands from `memory`.
EpilogueArgs sample_epilogue(const EpilogueArgs& args, int64_t m, int64_t n, SampleMemory& memory);

}  // namespace mxvideo::kernels
