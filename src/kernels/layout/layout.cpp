// The tables and entries of the operations that move values or mix neighbours.
#include <string>

#include "base/error.h"
#include "kernels/common/launch_row.h"
#include "kernels/layout/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<BlendArgs> kBlendRows[] = {
    ascend_row<Row<BlendArgs>>(blend_ascend),
    {"reference", kCpuNone, accept_all<BlendArgs>, blend_reference},
};
constexpr Row<ChannelAffineArgs> kChannelAffineRows[] = {
    ascend_row<Row<ChannelAffineArgs>>(channel_affine_ascend),
    {"reference", kCpuNone, accept_all<ChannelAffineArgs>, channel_affine_reference},
};
constexpr Row<CopyNdArgs> kCopyNdRows[] = {
    ascend_row<Row<CopyNdArgs>>(copy_nd_ascend),
    {"portable", kCpuNone, accept_all<CopyNdArgs>, copy_nd_portable},
    {"reference", kCpuNone, accept_all<CopyNdArgs>, copy_nd_reference},
};
constexpr Row<FillArgs> kFillRows[] = {
    ascend_row<Row<FillArgs>>(fill_ascend),
    {"reference", kCpuNone, accept_all<FillArgs>, fill_reference},
};
constexpr Row<FoldArgs> kFoldRows[] = {
    ascend_row<Row<FoldArgs>>(fold_ascend),
    {"reference", kCpuNone, accept_all<FoldArgs>, fold_reference},
};
constexpr Row<GatherRowsArgs> kGatherRowsRows[] = {
    ascend_row<Row<GatherRowsArgs>>(gather_rows_ascend),
    {"reference", kCpuNone, accept_all<GatherRowsArgs>, gather_rows_reference},
};

}  // namespace

std::span<const Row<BlendArgs>> blend_rows() { return kBlendRows; }
std::span<const Row<ChannelAffineArgs>> channel_affine_rows() { return kChannelAffineRows; }
std::span<const Row<CopyNdArgs>> copy_nd_rows() { return kCopyNdRows; }
std::span<const Row<FillArgs>> fill_rows() { return kFillRows; }
std::span<const Row<FoldArgs>> fold_rows() { return kFoldRows; }
std::span<const Row<GatherRowsArgs>> gather_rows_rows() { return kGatherRowsRows; }

void blend(const BlendArgs& args, Context& context) {
  launch_row("blend", blend_rows(), args, context);
}

void channel_affine(const ChannelAffineArgs& args, Context& context) {
  check(args.mean.size() == args.deviation.size(), "a mean and a deviation for each channel");
  launch_row("channel_affine", channel_affine_rows(), args, context);
}

void copy_nd(const CopyNdArgs& args, Context& context) {
  launch_row("copy_nd", copy_nd_rows(), args, context);
}

void fill(const FillArgs& args, Context& context) {
  launch_row("fill", fill_rows(), args, context);
}

void fold(const FoldArgs& args, Context& context) {
  const int64_t folded = args.time * args.space * args.space;
  const bool down = args.op == FoldOp::kAverageDown;
  check(down ? args.from.channels * folded % args.to.channels == 0
             : args.to.channels * folded % args.from.channels == 0,
        "folded channels come out even");
  launch_row("fold", fold_rows(), args, context);
}

void gather_rows(const GatherRowsArgs& args, Context& context) {
  if (args.dtype != DType::kF32 && args.dtype != DType::kBF16 && args.dtype != DType::kF16) {
    throw Error(Code::kUnsupported, "cannot gather rows of " + std::string(dtype_name(args.dtype)) +
                                        "; expected F32, F16 or BF16");
  }
  launch_row("gather_rows", gather_rows_rows(), args, context);
}

}  // namespace mxvideo::kernels
