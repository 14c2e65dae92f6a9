// Loops of the roof probe, one per unit of the processor and instruction set. ISA objects include
// this and the intrinsics only, see micro_kernel.h of gemm_mx.
#pragma once

#include <cstdint>

namespace mxvideo::bench {

// Independent chains of one instruction (or pair) that a matrix product is made of, more chains
// than latency times throughput needs. Two operations per multiply-add of one element.
struct RoofKernel {
  int64_t operations_per_step;
  // The result only keeps the work from being removed.
  float (*run)(int64_t steps);
};

extern const RoofKernel kRoofFp32FmaAvx2;
extern const RoofKernel kRoofFp32FmaAvx512;
extern const RoofKernel kRoofFp16FmaAvx512;
extern const RoofKernel kRoofInt16MaddAvx2;     // VPMADDWD and VPADDD
extern const RoofKernel kRoofInt16MaddAvxVnni;  // VPDPWSSD, 256 bit
extern const RoofKernel kRoofInt16MaddAvx512;   // VPDPWSSD, 512 bit
extern const RoofKernel kRoofInt8VnniAvx;       // VPDPBUSD, 256 bit
extern const RoofKernel kRoofInt8VnniAvx512;    // VPDPBUSD, 512 bit
extern const RoofKernel kRoofBf16DotAvx512;     // VDPBF16PS, 512 bit
extern const RoofKernel kRoofBf16Amx;           // TDPBF16PS

// Sum of `count` floats, a multiple of 64, 64-byte aligned.
using ReadKernel = float (*)(const float* values, int64_t count);
extern const ReadKernel kReadAvx2;
extern const ReadKernel kReadAvx512;

}  // namespace mxvideo::bench
