// Blocking and thread split shared by the CPU rows of gemm_mx.
//
// y is cut into blocks that fit a thread's caches (micro_kernel.h). For every kGemmDepth of k a
// block decodes its activations once and then, panel by panel, its weights; sums stay in
// thread-local scratch until the epilogue stores them. Each output is summed in an order that
// depends on k alone, so neither the cut nor the thread count changes a bit, and all fp32 rows
// agree bit for bit before the epilogue (products are exact in fp32), as do all int16 rows; the
// bf16 rows, whose products are exact too, add in other orders.
#pragma once

#include "kernels/gemm_mx/cpu/micro_kernel.h"
#include "kernels/gemm_mx/gemm_mx.h"

namespace mxvideo::kernels {

// The arguments of a call as its rows get them.
struct GemmMxCall : GemmMxArgs {
  void (*quantize)(const QuantizeMxArgs&) noexcept = nullptr;  // what fills `mx`
};

// _fp32 and _fast refuse INT8, and _int8 refuses E4M3; _int16, _int8 and _fast refuse weights that
// are not MxPanels::fills_scales; _fast, what RunPolicy::compute excludes.
const char* reject_gemm_mx_fp32(const GemmMxArgs& args, const RunPolicy& policy) noexcept;
const char* reject_gemm_mx_fast(const GemmMxArgs& args, const RunPolicy& policy) noexcept;
const char* reject_gemm_mx_int8(const GemmMxArgs& args, const RunPolicy& policy) noexcept;
const char* reject_gemm_mx_int16(const GemmMxArgs& args, const RunPolicy& policy) noexcept;
// All but the reference decline scales so large that a decoded value or a partial sum might
// overflow fp32; the reference accumulates in double. _tiny declines besides activations whose
// scales are smaller than those of weights that fill theirs. Both read all activation scales.
const char* decline_gemm_mx_overflow(const GemmMxArgs& args) noexcept;
const char* decline_gemm_mx_tiny(const GemmMxArgs& args) noexcept;

void run_gemm_mx_blocked(const GemmMxCall& args, const GemmMicroKernel& kernel) noexcept;

// To args.mx: outputs [rows, kGemmPanel] of the rows from `row` and the columns from `column` on.
void quantize_outputs(const GemmMxCall& args, int64_t row, int64_t rows, int64_t column,
                      const float* outputs) noexcept;

// gemm_mx_highway() on either element.
void run_gemm_mx_highway(const GemmMxCall& args) noexcept;

// The definition.
void run_gemm_mx_reference(const GemmMxCall& args) noexcept;
void run_gemm_mx_reference_fast(const GemmMxCall& args) noexcept;

}  // namespace mxvideo::kernels
