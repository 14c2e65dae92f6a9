// The shortcuts of the Wan2.2 video autoencoder, which add to a layer's result its input in another
// resolution. Space and time go into channels in the order (channel, time, row, column), and `fold`
// is time·space². Source: AvgDown3D and DupUp3D of diffusers' autoencoder_kl_wan.py.
//   kAverageDown: y += mean over groups of in·fold/out folded channels of x; time begins with as
//                 many zero frames as make it divide
//   kDuplicateUp: y += unfolded x, whose channels are repeated out·fold/in times first; y may lack
//                 frames at its beginning, which are dropped
// fp32: a group is summed in the order of its channels, divided once, and added to y.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

enum class FoldOp : uint8_t { kAverageDown, kDuplicateUp };

// Channels-last video of a window whose first row and column are those of the frame at (top, left).
struct FoldExtent {
  int64_t frames = 0, rows = 0, columns = 0, channels = 0;
  int64_t top = 0, left = 0;
};

struct FoldArgs {
  FoldOp op = FoldOp::kAverageDown;
  DevicePtr<const float> x = nullptr;  // [from.frames, from.rows, from.columns, from.channels]
  DevicePtr<float> y = nullptr;        // likewise; all that its pixels need lies in x
  FoldExtent from = {};
  FoldExtent to = {};
  int64_t time = 1;
  int64_t space = 1;
};

std::span<const Row<FoldArgs>> fold_rows();
void fold(const FoldArgs& args, Context& context);
Workload workload(const FoldArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
