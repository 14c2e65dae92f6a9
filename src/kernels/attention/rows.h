// The implementations behind attention_rows(). Each computes on the calling thread one head of at
// most kAttentionQueryBlock queries, with all strides, the packed keys and values and the scratch
// set, as attention() cuts it.
#pragma once

#include "kernels/attention/attention.h"

namespace mxvideo::kernels {

// Queries of one task: a multiple of every tile. More would reuse K and V more often, fewer keep
// the block in L2 and leave more tasks for the threads.
inline constexpr int64_t kAttentionQueryBlock = 96;
inline constexpr int64_t kAttentionKeyBlock = 96;  // largest
// Widest panel of columns (two vectors of 512 bits), to which rows are padded.
inline constexpr int64_t kMaxPanel = 32;

void attention_highway(const AttentionArgs& args) noexcept;
void attention_reference(const AttentionArgs& args) noexcept;

// Keys that are handled at a time: as many as keep K and V in L2, a multiple of every tile.
int64_t attention_key_block(int64_t head_dim) noexcept;
// Length of AttentionArgs::scratch, enough for every row.
int64_t attention_scratch_floats(int64_t head_dim) noexcept;

// Where AttentionArgs::packed keeps the block of keys [i·keys(), (i + 1)·keys()). Rows of K and V
// lie a whole width apart in memory: too many pages and cache sets to be read for every block of
// queries.
class PackedKeyValues {
 public:
  PackedKeyValues(int64_t kv_length, int64_t head_dim);
  int64_t keys() const { return keys_; }
  int64_t blocks() const { return blocks_; }
  int64_t head_floats() const { return blocks_ * block_floats(); }  // of the whole head
  // [keys(), head_dim]; zeros behind the last key.
  int64_t k_offset(int64_t block) const { return block * block_floats(); }
  // [padded width / kMaxPanel, keys(), kMaxPanel]; zeros behind head_dim.
  int64_t v_offset(int64_t block) const { return k_offset(block) + keys_ * head_dim_; }

 private:
  int64_t block_floats() const { return keys_ * (head_dim_ + padded_width_); }

  int64_t keys_;
  int64_t blocks_;
  int64_t head_dim_;
  int64_t padded_width_;
};

}  // namespace mxvideo::kernels
