#include "kernels/attention/attention.h"

#include <algorithm>

#include "base/checked.h"
#include "base/parallel.h"
#include "kernels/attention/rows.h"
#include "kernels/common/thread_scratch.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<AttentionArgs> kRows[] = {
    {"highway", kCpuNone, accept_all<AttentionArgs>, attention_highway},
    {"reference", kCpuNone, accept_all<AttentionArgs>, attention_reference},
};

// Queries [first, first + kAttentionQueryBlock) of one head as a problem of its own.
AttentionArgs block_of(const AttentionArgs& args, int64_t head, int64_t first) {
  AttentionArgs block = args;
  block.heads = 1;
  block.q_length = std::min(kAttentionQueryBlock, args.q_length - first);
  block.q += first * args.q_stride + head * args.head_dim;
  block.k += head * args.head_dim;
  block.v += head * args.head_dim;
  block.out += first * args.out_stride + head * args.head_dim;
  if (block.relative_bias != nullptr) {
    // The diagonals that these queries see: key - query grows with the distance from the last one.
    block.relative_bias += head * (args.q_length + args.kv_length - 1);
    block.relative_bias += args.q_length - first - block.q_length;
  }
  return block;
}

}  // namespace

int64_t attention_key_block(int64_t head_dim) noexcept {
  constexpr int64_t kFloats = int64_t{96} * 128;  // of K, and of V
  return std::clamp<int64_t>(kFloats / std::max<int64_t>(head_dim, 1) / 24 * 24, 24,
                             kAttentionKeyBlock);
}

int64_t attention_scratch_floats(int64_t head_dim) noexcept {
  const int64_t keys = attention_key_block(head_dim);
  const int64_t width = round_up(head_dim, kMaxPanel);
  return 2 * (kAttentionQueryBlock + keys) * width + (keys + 3) * kAttentionQueryBlock;
}

std::span<const Row<AttentionArgs>> attention_rows() { return kRows; }

int64_t attention_workspace_bytes(int64_t q_length, int64_t heads, int64_t head_dim) {
  return ThreadScratch::bytes(ceil_div(q_length, kAttentionQueryBlock) * heads,
                              attention_scratch_floats(head_dim));
}

void attention(const AttentionArgs& args, Context& context) {
  AttentionArgs whole = args;
  const int64_t width = whole.heads * whole.head_dim;
  if (whole.q_stride == 0) whole.q_stride = width;
  if (whole.kv_stride == 0) whole.kv_stride = width;
  if (whole.out_stride == 0) whole.out_stride = width;
  const Row<AttentionArgs>& row = select("attention", attention_rows(), whole, context);
  const int64_t blocks = ceil_div(whole.q_length, kAttentionQueryBlock);
  ThreadScratch scratch(blocks * whole.heads, attention_scratch_floats(whole.head_dim));
  parallel_for(blocks * whole.heads, 1, [&](int64_t begin, int64_t end) {
    float* const own_scratch = scratch.take();
    for (int64_t i = begin; i < end; ++i) {
      AttentionArgs block = block_of(whole, i / blocks, i % blocks * kAttentionQueryBlock);
      block.scratch = own_scratch;
      row.run(block);
    }
  });
}

}  // namespace mxvideo::kernels
