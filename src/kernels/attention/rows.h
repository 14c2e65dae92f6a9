// The implementations behind attention_rows(). Each computes on the calling thread one head of at
// most kAttentionQueryBlock queries, with all strides and the scratch set, as attention() cuts it.
#pragma once

#include "kernels/attention/attention.h"

namespace mxvideo::kernels {

// Queries of one task: a multiple of every tile. More would reuse K and V more often, fewer keep
// the block in L2 and leave more tasks for the threads.
inline constexpr int64_t kAttentionQueryBlock = 96;
inline constexpr int64_t kAttentionKeyBlock = 96;  // largest

void attention_highway(const AttentionArgs& args) noexcept;
void attention_reference(const AttentionArgs& args) noexcept;

// Keys that are handled at a time: as many as keep K and V in L2, a multiple of every tile.
int64_t attention_key_block(int64_t head_dim) noexcept;
// Widest panel of columns (two vectors of 512 bits), to which rows of scratch are padded.
inline constexpr int64_t kMaxPanel = 32;
// Length of AttentionArgs::scratch, enough for every row.
int64_t attention_scratch_floats(int64_t head_dim) noexcept;

}  // namespace mxvideo::kernels
