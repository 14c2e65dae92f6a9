// The table of gemm_mx on processors without rows of their own.
#include <array>

#include "kernels/gemm_mx/ascend.h"
#include "kernels/gemm_mx/cpu/blocked.h"

namespace mxvideo::kernels {
namespace {

constexpr std::array kRows = {
    ascend_row<GemmMxRow>(gemm_mx_ascend, gemm_mx_ascend_reject),
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
