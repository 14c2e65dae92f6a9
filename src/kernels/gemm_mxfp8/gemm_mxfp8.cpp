#include "kernels/gemm_mxfp8/gemm_mxfp8.h"

#include <array>
#include <string_view>

#include "kernels/gemm_mxfp8/blocked.h"

namespace mxvideo::kernels {
namespace {

static_assert(PackedMxfp8Weight::kPanel == kGemmPanel);

template <const GemmMicroKernel& kernel>
void run_blocked(const GemmMxfp8Args& args) noexcept {
  run_gemm_mxfp8_blocked(args, kernel);
}

template <const GemmMicroKernel& e4m3, const GemmMicroKernel& int8>
void run_both(const GemmMxfp8Args& args) noexcept {
  const bool is_int8 = args.weight->element == formats::MxElement::kInt8;
  run_gemm_mxfp8_blocked(args, is_int8 ? int8 : e4m3);
}

void run_highway(const GemmMxfp8Args& args) noexcept {
  run_gemm_mxfp8_blocked(args,
                         gemm_mxfp8_highway(args.weight->element == formats::MxElement::kInt8));
}

constexpr std::array kRows = {
    Row<GemmMxfp8Args>{"amx_bf16", kCpuAvx512 | kCpuAmxBf16, reject_gemm_mxfp8_bf16,
                       run_both<kGemmMxfp8AmxBf16, kGemmMxint8AmxBf16>},
    Row<GemmMxfp8Args>{"avx512_vnni_int8", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mxfp8_int8,
                       run_blocked<kGemmMxint8Avx512VnniInt8>},
    Row<GemmMxfp8Args>{"avx512_vnni_fast", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mxfp8_fast,
                       run_blocked<kGemmMxfp8Avx512VnniFast>},
    Row<GemmMxfp8Args>{"avx512_vnni_int16", kCpuAvx512 | kCpuAvx512Vnni, reject_gemm_mxfp8_int16,
                       run_both<kGemmMxfp8Avx512VnniInt16, kGemmMxint8Avx512VnniInt16>},
    Row<GemmMxfp8Args>{"avx512", kCpuAvx512, reject_gemm_mxfp8_fp32, run_blocked<kGemmMxfp8Avx512>},
    Row<GemmMxfp8Args>{"avx_vnni_int16", kCpuAvx2 | kCpuAvxVnni, reject_gemm_mxfp8_int16,
                       run_both<kGemmMxfp8AvxVnniInt16, kGemmMxint8AvxVnniInt16>},
    Row<GemmMxfp8Args>{"avx2_int16", kCpuAvx2, reject_gemm_mxfp8_int16,
                       run_both<kGemmMxfp8Avx2Int16, kGemmMxint8Avx2Int16>},
    Row<GemmMxfp8Args>{"avx2", kCpuAvx2, reject_gemm_mxfp8_fp32, run_blocked<kGemmMxfp8Avx2>},
    Row<GemmMxfp8Args>{"highway", kCpuNone, reject_gemm_mxfp8_overflow, run_highway},
    Row<GemmMxfp8Args>{"reference", kCpuNone, accept_all<GemmMxfp8Args>, run_gemm_mxfp8_reference},
};

}  // namespace

std::span<const Row<GemmMxfp8Args>> gemm_mxfp8_rows() { return kRows; }

void gemm_mxfp8(const GemmMxfp8Args& args, Context& context) {
  select("gemm_mxfp8", gemm_mxfp8_rows(), args, context).run(args);
}

GemmMxfp8Choice choose_gemm_mxfp8(const PackedMxfp8Weight& weight, const Context& context) {
  // The other elements of a block move by at most 2^-5 each, its largest, at least 64, not at all.
  constexpr double kInt16Noise = 31 * 0x1p-10 / 0x1p12;
  Context unused = context;
  unused.on_choice = nullptr;
  const GemmMxfp8Args no_rows = {.weight = &weight, .compute = context.compute};
  const char* row = select("gemm_mxfp8", gemm_mxfp8_rows(), no_rows, unused).name;
  const bool exact = weight.element == formats::MxElement::kInt8;
  if (!exact && std::string_view(row).ends_with("_fast")) return {row, weight.fast_noise};
  if (!exact && std::string_view(row).ends_with("_int16")) return {row, kInt16Noise};
  return {row, 0};
}

}  // namespace mxvideo::kernels
