// Blocking and thread split shared by the CPU rows of gemm_mxfp8.
//
// y is cut into blocks of at most kGemmRows x kGemmColumns, each computed by one thread. For every
// kGemmDepth of k a block decodes its activations once and then, panel by panel, its weights; sums
// stay in thread-local scratch until the epilogue stores them. Each output is summed in an order
// that depends on k alone, so neither the cut nor the thread count changes a bit, and all rows that
// use this file agree bit for bit before the epilogue (products are exact in fp32).
#pragma once

#include "kernels/gemm_mxfp8/gemm_mxfp8.h"
#include "kernels/gemm_mxfp8/micro_kernel.h"

namespace mxvideo::kernels {

// Refuses scales so large that a decoded value or a partial sum might overflow fp32; the reference,
// which accumulates in double, takes those. Reads all activation scales.
const char* reject_gemm_mxfp8_blocked(const GemmMxfp8Args& args) noexcept;

void run_gemm_mxfp8_blocked(const GemmMxfp8Args& args, const GemmMicroKernel& kernel) noexcept;

EpilogueArgs epilogue_args(const GemmMxfp8Args& args) noexcept;

// The definition.
void run_gemm_mxfp8_reference(const GemmMxfp8Args& args) noexcept;

}  // namespace mxvideo::kernels
