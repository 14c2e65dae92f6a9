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

}  // namespace mxvideo::kernels
