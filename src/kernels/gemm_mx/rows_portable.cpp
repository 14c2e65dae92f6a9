// The table of gemm_mx on processors without rows of their own.
#include <array>

#include "kernels/gemm_mx/blocked.h"

namespace mxvideo::kernels {
namespace {

constexpr std::array kRows = {
    Row<GemmMxArgs>{"highway", kCpuNone, reject_gemm_mx_overflow, run_gemm_mx_highway},
    // Runs only where it is asked for: what "highway" declines it declines, too.
    Row<GemmMxArgs>{"reference_fast", kCpuNone, reject_gemm_mx_fast, run_gemm_mx_reference_fast},
    Row<GemmMxArgs>{"reference", kCpuNone, accept_all<GemmMxArgs>, run_gemm_mx_reference},
};

}  // namespace

std::span<const Row<GemmMxArgs>> gemm_mx_rows() { return kRows; }

}  // namespace mxvideo::kernels
