#include "kernels/gemm_mx/gemm_mx.h"

#include <string_view>

#include "base/error.h"
#include "kernels/gemm_mx/blocked.h"

namespace mxvideo::kernels {
namespace {

constexpr const char* kOp = "gemm_mx";

}  // namespace

static_assert(PackedMxWeight::kPanel == kGemmPanel);

void gemm_mx(const GemmMxArgs& args, Context& context) {
  GemmMxCall call{args};
  if (call.epilogue.residual_stride == 0) call.epilogue.residual_stride = args.weight->n;
  if (args.mx.codes != nullptr) {
    check(args.weight->n % formats::kMxBlockSize == 0, "quantized outputs are whole blocks");
    const QuantizeMxArgs one_block = {
        .m = 1, .k = formats::kMxBlockSize, .options = args.mx.options};
    call.quantize = select("quantize_mx", quantize_mx_rows(), one_block, context).run;
  }
  const GemmMxRow& row = select(kOp, gemm_mx_rows(), args, context);
  const Choice choice = {.layers = context.layers, .op = kOp, .row = row.name};
  context.launch([call, choice, &row, &context] {
    row_for_values(choice, gemm_mx_rows(), row, call, context).run(call);
  });
}

GemmMxChoice choose_gemm_mx(const PackedMxWeight& weight, const Context& context) {
  // The other elements of a block move by at most 2^-5 each, its largest, at least 64, not at all.
  constexpr double kInt16Noise = 31 * 0x1p-10 / 0x1p12;
  Context unused = context;
  unused.on_choice = nullptr;
  const char* row = select(kOp, gemm_mx_rows(), {.weight = &weight}, unused).name;
  const bool exact = weight.element == formats::MxElement::kInt8;
  if (!exact && std::string_view(row).ends_with("_fast")) return {row, weight.fast_noise};
  if (!exact && std::string_view(row).ends_with("_int16")) return {row, kInt16Noise};
  return {row, 0};
}

}  // namespace mxvideo::kernels
