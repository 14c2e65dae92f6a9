// The table of gemm_mx on x86-64.
#include <array>

#include "kernels/gemm_mx/ascend.h"
#include "kernels/gemm_mx/cpu/blocked.h"

namespace mxvideo::kernels {
namespace {

template <const GemmMicroKernel& kernel>
void run_blocked(const GemmMxCall& args) noexcept {
  run_gemm_mx_blocked(args, kernel);
}

template <const GemmMicroKernel& e4m3, const GemmMicroKernel& int8>
void run_both(const GemmMxCall& args) noexcept {
  const bool is_int8 = args.weight->element == formats::MxElement::kInt8;
  run_gemm_mx_blocked(args, is_int8 ? int8 : e4m3);
}

constexpr std::array kRows = {
    ascend_row<GemmMxRow>(gemm_mx_ascend, gemm_mx_ascend_reject),
    GemmMxRow{"amx_bf16", kCpuAvx512 | kCpuAmxBf16, reject_gemm_mx_int16,
              run_both<kGemmMxAmxBf16, kGemmMxint8AmxBf16>, decline_gemm_mx_tiny},
    GemmMxRow{"avx512_vnni_int8", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mx_int8,
              run_blocked<kGemmMxint8Avx512VnniInt8>, decline_gemm_mx_overflow},
    GemmMxRow{"avx512_vnni_fast", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mx_fast,
              run_blocked<kGemmMxAvx512VnniFast>, decline_gemm_mx_overflow},
    GemmMxRow{"avx512_bf16", kCpuAvx512 | kCpuAvx512Bf16 | kCpuFullRateBf16, reject_gemm_mx_int16,
              run_both<kGemmMxAvx512Bf16, kGemmMxint8Avx512Bf16>, decline_gemm_mx_tiny},
    GemmMxRow{"avx512_vnni_int16", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mx_int16,
              run_both<kGemmMxAvx512VnniInt16, kGemmMxint8Avx512VnniInt16>,
              decline_gemm_mx_overflow},
    GemmMxRow{"avx512", kCpuAvx512, reject_gemm_mx_fp32, run_blocked<kGemmMxAvx512>,
              decline_gemm_mx_overflow},
    GemmMxRow{"avx_vnni_int16", kCpuAvx2 | kCpuAvxVnni, reject_gemm_mx_int16,
              run_both<kGemmMxAvxVnniInt16, kGemmMxint8AvxVnniInt16>, decline_gemm_mx_overflow},
    GemmMxRow{"avx2_int16", kCpuAvx2, reject_gemm_mx_int16,
              run_both<kGemmMxAvx2Int16, kGemmMxint8Avx2Int16>, decline_gemm_mx_overflow},
    GemmMxRow{"avx2", kCpuAvx2, reject_gemm_mx_fp32, run_blocked<kGemmMxAvx2>,
              decline_gemm_mx_overflow},
    GemmMxRow{"highway", kCpuNone, accept_all<GemmMxArgs>, run_gemm_mx_highway,
              decline_gemm_mx_overflow},
    // Runs only where it is asked for: what "highway" declines it declines, too.
    GemmMxRow{"reference_fast", kCpuNone, reject_gemm_mx_fast, run_gemm_mx_reference_fast,
              decline_gemm_mx_overflow},
    GemmMxRow{"reference", kCpuNone, accept_all<GemmMxArgs>, run_gemm_mx_reference},
};

}  // namespace

std::span<const GemmMxRow> gemm_mx_rows() { return kRows; }

}  // namespace mxvideo::kernels
