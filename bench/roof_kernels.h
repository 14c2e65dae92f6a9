// Loops of the roof probe, one set per instruction set. ISA objects include this and the
// intrinsics only, see micro_kernel.h of gemm_mxfp8.
#pragma once

#include <cstdint>

namespace mxvideo::bench {

struct RoofKernels {
  int64_t flops_per_step;
  // `steps` steps of independent FMAs, more chains than latency times throughput needs. The result
  // only keeps the work from being removed.
  float (*multiply_add)(int64_t steps);
  // Sum of `count` floats, a multiple of 64, 64-byte aligned.
  float (*read)(const float* values, int64_t count);
};

extern const RoofKernels kRoofAvx2;
extern const RoofKernels kRoofAvx512;

}  // namespace mxvideo::bench
