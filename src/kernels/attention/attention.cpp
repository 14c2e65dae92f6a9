#include "kernels/attention/attention.h"

#include <algorithm>

#include "base/checked.h"
#include "base/parallel.h"
#include "kernels/attention/int8.h"
#include "kernels/attention/rows.h"
#include "kernels/common/thread_scratch.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<AttentionArgs> kRows[] = {
    {"highway", kCpuNone, accept_all<AttentionArgs>, attention_highway},
    {"reference", kCpuNone, accept_all<AttentionArgs>, attention_reference},
};
constexpr Row<AttentionArgs> kInt8Rows[] = {
    {"highway_int16", kCpuNone, accept_all<AttentionArgs>, attention_int8_highway},
    {"reference", kCpuNone, accept_all<AttentionArgs>, attention_reference},
};

// Most bytes of packed keys and values at a time; one head may have more. Several heads at once
// leave enough tasks for the threads where the text is short.
constexpr int64_t kPackedBytes = int64_t{16} << 20;

int64_t heads_at_a_time(const PackedKeyValues& layout, int64_t heads) {
  return std::max<int64_t>(std::min(kPackedBytes / layout.head_bytes(), heads), 1);
}

int64_t packed_bytes(const PackedKeyValues& layout, int64_t heads) {
  return checked_mul(heads, layout.head_bytes(), "packed keys and values");
}

int64_t mean_bytes(int64_t heads, int64_t head_dim, AttentionProducts products) {
  if (products == AttentionProducts::kFp32) return 0;
  return heads * head_dim * static_cast<int64_t>(sizeof(float));
}

// One block of keys of one head, in fp32.
void pack_block(const AttentionArgs& args, const PackedKeyValues& layout, int64_t head,
                int64_t block, std::byte* packed) noexcept {
  const int64_t first = block * layout.keys();
  const int64_t keys = std::min(layout.keys(), args.kv_length - first);
  auto* const k = reinterpret_cast<float*>(packed + layout.k_offset(block));
  auto* const v = reinterpret_cast<float*>(packed + layout.v_offset(block));
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
  if (block.key_mean != nullptr) block.key_mean += head * args.head_dim;
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

struct HeadRange {
  int64_t first;
  int64_t count;
};

// Packs keys and values of those heads into `packed` and computes them.
void attend(const AttentionArgs& args, const Row<AttentionArgs>& row, const PackedKeyValues& layout,
            const HeadRange& heads, std::byte* packed) {
  const auto packed_head = [&](int64_t head) {
    return packed + (head - heads.first) * layout.head_bytes();
  };
  const auto pack = args.products == AttentionProducts::kInt8 ? pack_int8_block : pack_block;
  parallel_for(heads.count * layout.blocks(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t head = heads.first + i / layout.blocks();
      pack(args, layout, head, i % layout.blocks(), packed_head(head));
    }
  });
  const int64_t blocks = ceil_div(args.q_length, kAttentionQueryBlock);
  ThreadScratch scratch(blocks * heads.count, attention_scratch_floats(args.head_dim));
  parallel_for_each(blocks * heads.count, [&](int64_t i, int64_t worker) {
    const int64_t head = heads.first + i / blocks;
    AttentionArgs block = block_of(args, head, i % blocks * kAttentionQueryBlock);
    block.packed = packed_head(head);
    block.scratch = scratch.slot(worker);
    row.run(block);
  });
}

}  // namespace

int64_t attention_key_block(int64_t head_dim) noexcept {
  constexpr int64_t kFloats = int64_t{96} * 128;  // of K, and of V
  return std::clamp<int64_t>(kFloats / std::max<int64_t>(head_dim, 1) / 24 * 24, 24,
                             kAttentionKeyBlock);
}

int64_t attention_scratch_floats(int64_t head_dim) noexcept {
  const int64_t width = round_up(head_dim, kMaxPanel);
  return kAttentionQueryBlock * (2 * width + attention_key_block(head_dim) + 5);
}

PackedKeyValues::PackedKeyValues(int64_t kv_length, int64_t head_dim, AttentionProducts products)
    : keys_(attention_key_block(head_dim)), blocks_(ceil_div(kv_length, keys_)) {
  const bool int8 = products == AttentionProducts::kInt8;
  const auto part_bytes = [](int64_t count, size_t element) {
    return round_up(count * static_cast<int64_t>(element), int64_t{64});
  };
  const size_t element = int8 ? sizeof(int16_t) : sizeof(float);
  k_width_ = int8 ? round_up(head_dim, int64_t{2}) : head_dim;
  v_width_ = round_up(head_dim, kMaxPanel);
  k_bytes_ = part_bytes(keys_ * k_width_, element);
  v_bytes_ = part_bytes(keys_ * v_width_, element);
  if (int8) k_scale_bytes_ = part_bytes(keys_, sizeof(float));
  const int64_t v_scale_bytes = int8 ? part_bytes(v_width_, sizeof(float)) : 0;
  block_bytes_ = k_bytes_ + v_bytes_ + k_scale_bytes_ + v_scale_bytes;
}

const char* attention_op(AttentionProducts products) noexcept {
  return products == AttentionProducts::kInt8 ? "attention_int8" : "attention";
}

std::span<const Row<AttentionArgs>> attention_rows(AttentionProducts products) {
  if (products == AttentionProducts::kInt8) return kInt8Rows;
  return kRows;
}

int64_t attention_workspace_bytes(int64_t q_length, int64_t kv_length, int64_t heads,
                                  int64_t head_dim, AttentionProducts products) {
  const PackedKeyValues layout(kv_length, head_dim, products);
  const int64_t tasks = ceil_div(q_length, kAttentionQueryBlock) * heads;
  return ThreadScratch::bytes(tasks, attention_scratch_floats(head_dim)) +
         packed_bytes(layout, heads_at_a_time(layout, heads)) +
         mean_bytes(heads, head_dim, products);
}

void attention(const AttentionArgs& args, Context& context) {
  AttentionArgs whole = args;
  const int64_t width = whole.heads * whole.head_dim;
  if (whole.q_stride == 0) whole.q_stride = width;
  if (whole.kv_stride == 0) whole.kv_stride = width;
  if (whole.out_stride == 0) whole.out_stride = width;
  const Row<AttentionArgs>& row =
      select(attention_op(whole.products), attention_rows(whole.products), whole, context);
  Buffer means(cpu_device(), mean_bytes(whole.heads, whole.head_dim, whole.products));
  if (whole.products == AttentionProducts::kInt8) {
    auto* const mean = reinterpret_cast<float*>(means.data());
    parallel_for(whole.heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t head = begin; head < end; ++head) {
        mean_of_keys(whole, head, mean + head * whole.head_dim);
      }
    });
    whole.key_mean = mean;
  }
  const PackedKeyValues layout(whole.kv_length, whole.head_dim, whole.products);
  const int64_t group = heads_at_a_time(layout, whole.heads);
  Buffer packed(cpu_device(), packed_bytes(layout, group));
  for (int64_t first = 0; first < whole.heads; first += group) {
    attend(whole, row, layout, {first, std::min(group, whole.heads - first)}, packed.data());
  }
}

}  // namespace mxvideo::kernels
