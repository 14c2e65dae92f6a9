// aclnnLayerNorm, and aclnnAdaLayerNormV2 for what is modulated: fp32 in and out for the fp32
// residual stream, rounded once where y is BF16. Rows of several vectors are a call for each run of
// rows that share one.
#include "kernels/common/npu_epilogue.h"
#include "kernels/layer_norm/rows.h"

namespace mxvideo::kernels {
namespace {

// Rows of x normed to `y`, which has x's type.
void norm(Npu& npu, const LayerNormArgs& args, const AclView& y) {
  const AclView x = npu_view(args.x, {args.rows, args.dim});
  const AclView weight = npu_view(args.weight, {args.dim});
  const AclView bias = npu_view(args.bias, {args.dim});
  const auto optional = [](const AclView& view) {
    return view.data != nullptr ? in(view) : ascend::OperatorArgument(nullptr);
  };
  if (args.scale == nullptr) {
    npu.run(npu.cann().LayerNorm, in(x), ascend::integers({args.dim}), optional(weight),
            optional(bias), static_cast<double>(args.epsilon), out(y), nullptr, nullptr);
    return;
  }
  for (const RowRun& run : runs_of_call(args.modulation_runs, args.rows)) {
    const auto rows_of = [&](const AclView& whole) {
      return AclView(npu_row_range(whole, run.first, run.count).data, whole.type,
                     {1, run.count, args.dim});
    };
    const AclView from = rows_of(x), to = rows_of(y);
    const AclView scale =
        npu_view(args.scale.from(run.vector * args.modulation_stride), {1, args.dim});
    const AclView shift =
        npu_view(args.shift.from(run.vector * args.modulation_stride), {1, args.dim});
    npu.run(npu.cann().AdaLayerNormV2, in(from), in(scale), in(shift), optional(weight),
            optional(bias), static_cast<double>(args.epsilon), out(to), nullptr, nullptr);
  }
}

}  // namespace

const char* layer_norm_ascend_reject(const LayerNormArgs& args, const RunPolicy&) noexcept {
  const bool unknown_rows = args.modulation_row != nullptr && args.modulation_runs.count == 0;
  return unknown_rows ? "the NPU takes several vectors by runs of rows" : nullptr;
}

void layer_norm_ascend(const LayerNormArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const AclView x = npu_view(args.x, {args.rows, args.dim});
  const AclView y = npu_view(args.y, {args.rows, args.dim});
  npu.in_type_of(x, y, [&](const AclView& to) { norm(npu, args, to); });
}

// The quantizer sees the norm's own type.
void layer_norm_mx_ascend(const LayerNormArgs& args, const MxOutput& output, Context& context) {
  Npu npu(context);
  const AclView normed = npu.temporary(acl_type(args.x.dtype()), {args.rows, args.dim});
  norm(npu, args, normed);
  npu.quantize(normed, output);
}

}  // namespace mxvideo::kernels
