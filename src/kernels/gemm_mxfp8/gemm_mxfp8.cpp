#include "kernels/gemm_mxfp8/gemm_mxfp8.h"

#include <array>

#include "kernels/gemm_mxfp8/blocked.h"

namespace mxvideo::kernels {
namespace {

static_assert(PackedMxfp8Weight::kPanel == kGemmPanel);

template <const GemmMicroKernel& kernel>
void run_blocked(const GemmMxfp8Args& args) noexcept {
  run_gemm_mxfp8_blocked(args, kernel);
}

constexpr std::array kRows = {
    Row<GemmMxfp8Args>{"avx512", kCpuAvx512, reject_gemm_mxfp8_blocked,
                       run_blocked<kGemmMxfp8Avx512>},
    Row<GemmMxfp8Args>{"avx2", kCpuAvx2, reject_gemm_mxfp8_blocked, run_blocked<kGemmMxfp8Avx2>},
    Row<GemmMxfp8Args>{"reference", kCpuNone, accept_all<GemmMxfp8Args>, run_gemm_mxfp8_reference},
};

}  // namespace

std::span<const Row<GemmMxfp8Args>> gemm_mxfp8_rows() { return kRows; }

void gemm_mxfp8(const GemmMxfp8Args& args, Context& context) {
  select("gemm_mxfp8", gemm_mxfp8_rows(), args, context).run(args);
}

}  // namespace mxvideo::kernels
