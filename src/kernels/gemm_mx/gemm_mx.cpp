#include "kernels/gemm_mx/gemm_mx.h"

#include <array>
#include <string_view>

#include "kernels/gemm_mx/blocked.h"

namespace mxvideo::kernels {
namespace {

static_assert(PackedMxWeight::kPanel == kGemmPanel);

template <const GemmMicroKernel& kernel>
void run_blocked(const GemmMxArgs& args) noexcept {
  run_gemm_mx_blocked(args, kernel);
}

template <const GemmMicroKernel& e4m3, const GemmMicroKernel& int8>
void run_both(const GemmMxArgs& args) noexcept {
  const bool is_int8 = args.weight->element == formats::MxElement::kInt8;
  run_gemm_mx_blocked(args, is_int8 ? int8 : e4m3);
}

void run_highway(const GemmMxArgs& args) noexcept {
  run_gemm_mx_blocked(args, gemm_mx_highway(args.weight->element == formats::MxElement::kInt8));
}

constexpr std::array kRows = {
    Row<GemmMxArgs>{"amx_bf16", kCpuAvx512 | kCpuAmxBf16, reject_gemm_mx_bf16,
                    run_both<kGemmMxAmxBf16, kGemmMxint8AmxBf16>},
    Row<GemmMxArgs>{"avx512_vnni_int8", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mx_int8,
                    run_blocked<kGemmMxint8Avx512VnniInt8>},
    Row<GemmMxArgs>{"avx512_vnni_fast", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mx_fast,
                    run_blocked<kGemmMxAvx512VnniFast>},
    Row<GemmMxArgs>{"avx512_vnni_int16", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mx_int16,
                    run_both<kGemmMxAvx512VnniInt16, kGemmMxint8Avx512VnniInt16>},
    Row<GemmMxArgs>{"avx512", kCpuAvx512, reject_gemm_mx_fp32, run_blocked<kGemmMxAvx512>},
    Row<GemmMxArgs>{"avx_vnni_int16", kCpuAvx2 | kCpuAvxVnni, reject_gemm_mx_int16,
                    run_both<kGemmMxAvxVnniInt16, kGemmMxint8AvxVnniInt16>},
    Row<GemmMxArgs>{"avx2_int16", kCpuAvx2, reject_gemm_mx_int16,
                    run_both<kGemmMxAvx2Int16, kGemmMxint8Avx2Int16>},
    Row<GemmMxArgs>{"avx2", kCpuAvx2, reject_gemm_mx_fp32, run_blocked<kGemmMxAvx2>},
    Row<GemmMxArgs>{"highway", kCpuNone, reject_gemm_mx_overflow, run_highway},
    // Runs only where it is asked for: what "highway" declines it declines, too.
    Row<GemmMxArgs>{"reference_fast", kCpuNone, reject_gemm_mx_fast, run_gemm_mx_reference_fast},
    Row<GemmMxArgs>{"reference", kCpuNone, accept_all<GemmMxArgs>, run_gemm_mx_reference},
};

}  // namespace

std::span<const Row<GemmMxArgs>> gemm_mx_rows() { return kRows; }

void gemm_mx(const GemmMxArgs& args, Context& context) {
  select("gemm_mx", gemm_mx_rows(), args, context).run(args);
}

GemmMxChoice choose_gemm_mx(const PackedMxWeight& weight, const Context& context) {
  // The other elements of a block move by at most 2^-5 each, its largest, at least 64, not at all.
  constexpr double kInt16Noise = 31 * 0x1p-10 / 0x1p12;
  Context unused = context;
  unused.on_choice = nullptr;
  const GemmMxArgs no_rows = {.weight = &weight, .compute = context.compute};
  const char* row = select("gemm_mx", gemm_mx_rows(), no_rows, unused).name;
  const bool exact = weight.element == formats::MxElement::kInt8;
  if (!exact && std::string_view(row).ends_with("_fast")) return {row, weight.fast_noise};
  if (!exact && std::string_view(row).ends_with("_int16")) return {row, kInt16Noise};
  return {row, 0};
}

}  // namespace mxvideo::kernels
