// The implementations behind the tables of this folder; each does a whole call, on all threads.
#pragma once

#include "kernels/layout/blend.h"
#include "kernels/layout/channel_affine.h"
#include "kernels/layout/copy_nd.h"
#include "kernels/layout/fill.h"
#include "kernels/layout/fold.h"
#include "kernels/layout/gather_rows.h"

namespace mxvideo::kernels {

void blend_reference(const BlendArgs& args) noexcept;
void channel_affine_reference(const ChannelAffineArgs& args) noexcept;
void copy_nd_portable(const CopyNdArgs& args) noexcept;
void copy_nd_reference(const CopyNdArgs& args) noexcept;
void fill_reference(const FillArgs& args) noexcept;
void fold_reference(const FoldArgs& args) noexcept;
void gather_rows_reference(const GatherRowsArgs& args) noexcept;

// By CANN, on an Ascend NPU.
void blend_ascend(const BlendArgs& args, std::byte* workspace, Context& context);
void channel_affine_ascend(const ChannelAffineArgs& args, std::byte* workspace, Context& context);
void copy_nd_ascend(const CopyNdArgs& args, std::byte* workspace, Context& context);
void fill_ascend(const FillArgs& args, std::byte* workspace, Context& context);
void fold_ascend(const FoldArgs& args, std::byte* workspace, Context& context);
void gather_rows_ascend(const GatherRowsArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
