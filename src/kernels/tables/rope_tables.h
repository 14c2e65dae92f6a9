// Cosines and sines of the 3-D rotary embedding of video tokens, which run over frames, rows and
// columns. Of the head_dim/2 pairs of a token, head_dim/6 (rounded down) belong to its row, as many
// to its column, and the rest, which come first, to its frame. Pair j of the n of an axis turns by
// position·theta^(-j/n); angles in double, rounded once. Source: diffusers' WanRotaryPosEmbed.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

struct RopeTablesArgs {
  DevicePtr<float> cos = nullptr;  // [frames·rows·columns, head_dim/2], or of make_rope_table()
  DevicePtr<float> sin = nullptr;  // likewise
  int64_t frames = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t head_dim = 0;  // even
  double theta = 10000;
};

// Room for a table as the rows of the context's device read it: F32 [tokens, head_dim/2], on an NPU
// each number twice, as BF16 [tokens, head_dim].
Tensor make_rope_table(int64_t tokens, int64_t head_dim, const Context& context);

std::span<const Row<RopeTablesArgs>> rope_tables_rows();
void rope_tables(const RopeTablesArgs& args, Context& context);
Workload workload(const RopeTablesArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
