#include "kernels/gemm_mx/gemm_mx.h"

#include <string_view>

#include "kernels/gemm_mx/blocked.h"

namespace mxvideo::kernels {

static_assert(PackedMxWeight::kPanel == kGemmPanel);

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
