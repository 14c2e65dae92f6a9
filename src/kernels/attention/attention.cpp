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

// Most bytes of packed keys and values at a time; one head may have more. Several heads at once
// leave enough tasks for the threads where the text is short.
constexpr int64_t kPackedBytes = int64_t{16} << 20;

int64_t heads_at_a_time(const PackedKeyValues& layout, int64_t heads) {
  const int64_t head_bytes = layout.head_floats() * static_cast<int64_t>(sizeof(float));
  return std::max<int64_t>(std::min(kPackedBytes / head_bytes, heads), 1);
}

int64_t packed_bytes(const PackedKeyValues& layout, int64_t heads) {
  return checked_mul(heads * layout.head_floats(), static_cast<int64_t>(sizeof(float)),
                     "packed keys and values");
}

// One block of keys of one head.
void pack_block(const AttentionArgs& args, const PackedKeyValues& layout, int64_t head,
                int64_t block, float* packed) {
  const int64_t first = block * layout.keys();
  const int64_t keys = std::min(layout.keys(), args.kv_length - first);
  float* k = packed + layout.k_offset(block);
  float* v = packed + layout.v_offset(block);
  for (int64_t key = 0; key < keys; ++key) {
    const int64_t source = (first + key) * args.kv_stride + head * args.head_dim;
    std::copy_n(args.k + source, args.head_dim, k + key * args.head_dim);
    for (int64_t column = 0; column < args.head_dim; column += kMaxPanel) {
      float* panel = v + column * layout.keys() + key * kMaxPanel;
      const int64_t width = std::min(kMaxPanel, args.head_dim - column);
      std::copy_n(args.v + source + column, width, panel);
      std::fill(panel + width, panel + kMaxPanel, 0.0f);
    }
  }
  std::fill(k + keys * args.head_dim, k + layout.keys() * args.head_dim, 0.0f);
}

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
  const int64_t width = round_up(head_dim, kMaxPanel);
  return kAttentionQueryBlock * (2 * width + attention_key_block(head_dim) + 3);
}

PackedKeyValues::PackedKeyValues(int64_t kv_length, int64_t head_dim)
    : keys_(attention_key_block(head_dim)),
      blocks_(ceil_div(kv_length, keys_)),
      head_dim_(head_dim),
      padded_width_(round_up(head_dim, kMaxPanel)) {}

std::span<const Row<AttentionArgs>> attention_rows() { return kRows; }

int64_t attention_workspace_bytes(int64_t q_length, int64_t kv_length, int64_t heads,
                                  int64_t head_dim) {
  const PackedKeyValues layout(kv_length, head_dim);
  const int64_t tasks = ceil_div(q_length, kAttentionQueryBlock) * heads;
  return ThreadScratch::bytes(tasks, attention_scratch_floats(head_dim)) +
         packed_bytes(layout, heads_at_a_time(layout, heads));
}

void attention(const AttentionArgs& args, Context& context) {
  AttentionArgs whole = args;
  const int64_t width = whole.heads * whole.head_dim;
  if (whole.q_stride == 0) whole.q_stride = width;
  if (whole.kv_stride == 0) whole.kv_stride = width;
  if (whole.out_stride == 0) whole.out_stride = width;
  const Row<AttentionArgs>& row = select("attention", attention_rows(), whole, context);
  const PackedKeyValues layout(whole.kv_length, whole.head_dim);
  const int64_t group = heads_at_a_time(layout, whole.heads);
  Buffer packed(cpu_device(), packed_bytes(layout, group));
  const int64_t blocks = ceil_div(whole.q_length, kAttentionQueryBlock);
  for (int64_t first = 0; first < whole.heads; first += group) {
    const int64_t heads = std::min(group, whole.heads - first);
    const auto packed_head = [&](int64_t head) {
      return reinterpret_cast<float*>(packed.data()) + (head - first) * layout.head_floats();
    };
    parallel_for(heads * layout.blocks(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t head = first + i / layout.blocks();
        pack_block(whole, layout, head, i % layout.blocks(), packed_head(head));
      }
    });
    ThreadScratch scratch(blocks * heads, attention_scratch_floats(whole.head_dim));
    parallel_for(blocks * heads, 1, [&](int64_t begin, int64_t end) {
      float* const own_scratch = scratch.take();
      for (int64_t i = begin; i < end; ++i) {
        const int64_t head = first + i / blocks;
        AttentionArgs block = block_of(whole, head, i % blocks * kAttentionQueryBlock);
        block.packed = packed_head(head);
        block.scratch = own_scratch;
        row.run(block);
      }
    });
  }
}

}  // namespace mxvideo::kernels
