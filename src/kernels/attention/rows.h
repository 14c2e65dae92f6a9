// The implementations behind attention_rows(). Each computes on the calling thread one head of at
// most kAttentionQueryBlock queries, with all strides, the packed keys and values and the scratch
// set, as attention() cuts it.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/attention/cpu/operand.h"

namespace mxvideo::kernels {

// Queries of one task: a multiple of every tile. More would reuse K and V more often, fewer keep
// the block in L2 and leave more tasks for the threads.
inline constexpr int64_t kAttentionQueryBlock = 96;
inline constexpr int64_t kAttentionKeyBlock = 96;  // largest
// Widest panel of columns (two vectors of 512 bits), to which rows are padded.
inline constexpr int64_t kMaxPanel = 32;

struct AttentionBlock : AttentionArgs {
  float last_key_bias = 0;            // log(last_key_count)
  const std::byte* packed = nullptr;  // keys and values of the head, as PackedKeyValues has them
  const float* key_mean = nullptr;    // [heads, head_dim]; kInt8 only
  float* scratch = nullptr;           // of the calling thread
};

void attention_highway(const AttentionBlock& args) noexcept;
void attention_int8_highway(const AttentionBlock& args) noexcept;
void attention_reference(const AttentionBlock& args) noexcept;  // either kind of products

// Keys that are handled at a time: as many as keep K and V in L2, a multiple of every tile.
int64_t attention_key_block(int64_t head_dim) noexcept;
// Length of AttentionBlock::scratch, enough for every row.
int64_t attention_scratch_floats(int64_t head_dim) noexcept;

// Where AttentionBlock::packed keeps the block of keys [i·keys(), (i + 1)·keys()) of a head, as
// offsets in bytes, multiples of 64. Rows of K and V lie a whole width apart in memory: too many
// pages and cache sets to be read for every block of queries.
class PackedKeyValues {
 public:
  PackedKeyValues(int64_t kv_length, int64_t head_dim, AttentionProducts products);
  int64_t keys() const { return keys_; }
  int64_t blocks() const { return blocks_; }
  int64_t head_bytes() const { return blocks_ * block_bytes_; }  // of the whole head
  int64_t k_width() const { return k_width_; }  // head_dim; of int8 rounded up to pairs
  int64_t v_width() const { return v_width_; }  // head_dim rounded up to kMaxPanel

  // [keys(), k_width()] fp32, or codes in 16 bits; zeros behind the last key and behind head_dim.
  int64_t k_offset(int64_t block) const { return block * block_bytes_; }
  // fp32: [v_width() / kMaxPanel, keys(), kMaxPanel]; int8: codes in 16 bits, pairs of keys side by
  // side, [v_width() / kMaxPanel, keys() / 2, kMaxPanel, 2], zeros behind the last key. Zeros
  // behind head_dim.
  int64_t v_offset(int64_t block) const { return k_offset(block) + k_bytes_; }
  // Of int8: fp32 scales [keys()] and [v_width()].
  int64_t k_scale_offset(int64_t block) const { return v_offset(block) + v_bytes_; }
  int64_t v_scale_offset(int64_t block) const { return k_scale_offset(block) + k_scale_bytes_; }

 private:
  int64_t keys_;
  int64_t blocks_;
  int64_t k_width_;
  int64_t v_width_;
  int64_t k_bytes_;
  int64_t v_bytes_;
  int64_t k_scale_bytes_ = 0;
  int64_t block_bytes_;
};

// Keys of one head that are packed together: the block `index`, from key `first` on.
struct KeyBlock {
  int64_t head = 0;
  int64_t index = 0;
  int64_t first = 0;
  int64_t count = 0;
  HeadRows k;
};

// By CANN, on an Ascend NPU.
const char* attention_ascend_reject(const AttentionArgs& args, const RunPolicy& policy) noexcept;
void attention_ascend(const AttentionArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
