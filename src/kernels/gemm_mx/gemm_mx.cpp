#include "kernels/gemm_mx/gemm_mx.h"

#include "base/error.h"
#include "kernels/gemm_mx/cpu/blocked.h"
#include "kernels/gemm_mx/cpu/mx_panels.h"

namespace mxvideo::kernels {
namespace {

constexpr const char* kOp = "gemm_mx";

}  // namespace

static_assert(MxPanels::kPanel == kGemmPanel);

MxWeight::~MxWeight() = default;

void gemm_mx(const GemmMxArgs& args, Context& context) {
  check(args.weight->device() == context.device().kind(), "weights are packed for the device");
  GemmMxCall call{args};
  if (call.epilogue.residual_stride == 0) call.epilogue.residual_stride = args.weight->n;
  if (args.mx.codes != nullptr) {
    check(args.weight->n % formats::kMxBlockSize == 0, "quantized outputs are whole blocks");
    const QuantizeMxArgs result = {.m = args.m, .k = args.weight->n, .options = args.mx.options};
    call.quantize = select("quantize_mx", quantize_mx_rows(), result, context).run;
  }
  const GemmMxRow& row = select(kOp, gemm_mx_rows(), args, context);
  if (launched_by(row, call, context)) return;
  const Choice choice = {.layers = context.layers, .op = kOp, .row = row.name};
  context.launch([call, choice, &row, &context] {
    row_for_values(choice, gemm_mx_rows(), row, call, context).run(call);
  });
}

GemmMxChoice choose_gemm_mx(const MxWeight& weight, const Context& context) {
  Context unused = context;
  unused.on_choice = nullptr;
  unused.on_work = nullptr;
  const char* row = select(kOp, gemm_mx_rows(), {.weight = &weight}, unused).name;
  return {row, weight.rounding_noise(row)};
}

}  // namespace mxvideo::kernels
