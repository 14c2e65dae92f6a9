// Blocking and thread split shared by the CPU rows of gemm_mxfp8.
//
// y is cut into blocks of at most kGemmRows x kGemmColumns, each computed by one thread. For every
// kGemmDepth of k a block decodes its activations once and then, panel by panel, its weights; sums
// stay in thread-local scratch until the epilogue stores them. Each output is summed in an order
// that depends on k alone, so neither the cut nor the thread count changes a bit, and all fp32 rows
// agree bit for bit before the epilogue (products are exact in fp32), as do all int16 rows; the
// bf16 row, whose products are exact too, adds in another order.
#pragma once

#include "kernels/gemm_mxfp8/gemm_mxfp8.h"
#include "kernels/gemm_mxfp8/micro_kernel.h"

namespace mxvideo::kernels {

// All refuse scales so large that a decoded value or a partial sum might overflow fp32; the
// reference, which accumulates in double, takes those. They read all activation scales. Besides,
// _fp32 and _fast refuse INT8, and _int8 refuses E4M3; _int16, _int8, _fast and _bf16 refuse
// weights that are not PackedMxfp8Weight::fills_scales; _fast, what GemmMxfp8Args::compute
// excludes; _bf16, activations whose scales are smaller than those of such weights.
const char* reject_gemm_mxfp8_overflow(const GemmMxfp8Args& args) noexcept;
const char* reject_gemm_mxfp8_fp32(const GemmMxfp8Args& args) noexcept;
const char* reject_gemm_mxfp8_fast(const GemmMxfp8Args& args) noexcept;
const char* reject_gemm_mxfp8_int8(const GemmMxfp8Args& args) noexcept;
const char* reject_gemm_mxfp8_int16(const GemmMxfp8Args& args) noexcept;
const char* reject_gemm_mxfp8_bf16(const GemmMxfp8Args& args) noexcept;

void run_gemm_mxfp8_blocked(const GemmMxfp8Args& args, const GemmMicroKernel& kernel) noexcept;

EpilogueArgs epilogue_args(const GemmMxfp8Args& args) noexcept;

// The definition.
void run_gemm_mxfp8_reference(const GemmMxfp8Args& args) noexcept;

}  // namespace mxvideo::kernels
