#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/checked.h"
#include "base/parallel.h"
#include "kernels/attention/int8.h"
#include "kernels/attention/rows.h"
#include "kernels/common/thread_scratch.h"
#include "tensor/tensor.h"

namespace mxvideo::kernels {
namespace {

constexpr AttentionRow kRows[] = {
    ascend_row<AttentionRow>(attention_ascend, attention_ascend_reject),
    {"highway", kCpuNone, accept_all<AttentionArgs>, attention_highway},
    {"reference", kCpuNone, accept_all<AttentionArgs>, attention_reference},
};
constexpr AttentionRow kInt8Rows[] = {
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

int64_t factor_bytes(int64_t q_length, int64_t kv_length) {
  return (q_length + kv_length) * static_cast<int64_t>(sizeof(float));
}

// A block of keys and values of one head, in fp32.
void pack_block(const AttentionBlock& args, const PackedKeyValues& layout, const KeyBlock& block,
                std::byte* packed) noexcept {
  auto* const k = reinterpret_cast<float*>(packed + layout.k_offset(block.index));
  auto* const v = reinterpret_cast<float*>(packed + layout.v_offset(block.index));
  for (int64_t key = 0; key < block.count; ++key) {
    std::copy_n(block.k.first + key * block.k.stride, args.head_dim, k + key * args.head_dim);
    const float* values =
        args.v + (block.first + key) * args.kv_stride + block.head * args.head_dim;
    for (int64_t column = 0; column < args.head_dim; column += kMaxPanel) {
      float* panel = v + column * layout.keys() + key * kMaxPanel;
      const int64_t width = std::min(kMaxPanel, args.head_dim - column);
      std::copy_n(values + column, width, panel);
      std::fill(panel + width, panel + kMaxPanel, 0.0f);
    }
  }
  std::fill(k + block.count * args.head_dim, k + layout.keys() * args.head_dim, 0.0f);
}

// Working memory of a thread: the row's own, then [kAttentionQueryBlock, head_dim] of rows on their
// way in or out.
int64_t own_floats(int64_t head_dim) {
  static_assert(kAttentionKeyBlock <= kAttentionQueryBlock);
  return attention_scratch_floats(head_dim) + kAttentionQueryBlock * head_dim;
}

int64_t task_count(const PackedKeyValues& layout, int64_t q_length, int64_t heads) {
  return std::max(ceil_div(q_length, kAttentionQueryBlock), layout.blocks()) * heads;
}

struct HeadRange {
  int64_t first;
  int64_t count;
};

// One call, with all strides set.
class Attention {
 public:
  // Chooses the rows and takes the memory.
  Attention(const AttentionArgs& args, Context& context);
  void run();

 private:
  float* rows_memory(int64_t worker) noexcept {
    return scratch_.slot(worker) + attention_scratch_floats(args_.head_dim);
  }
  KeyBlock key_block(int64_t head, int64_t index, int64_t worker) noexcept;
  void find_key_means();
  void norm_keys_for_reference();
  HeadRows plain_keys(int64_t head) const noexcept;
  void attend(const HeadRange& heads);
  void run_block(const HeadRange& heads, int64_t head, int64_t first, int64_t worker) noexcept;
  std::byte* packed_head(const HeadRange& heads, int64_t head) {
    return packed_.data() + (head - heads.first) * layout_.head_bytes();
  }

  AttentionBlock args_;  // of all heads
  const AttentionRow* row_ = nullptr;
  const Row<QuantizeMxArgs>* quantize_ = nullptr;
  PackedKeyValues layout_;
  Buffer means_;
  Buffer factors_;
  AttentionOperand q_;
  AttentionOperand k_;
  int64_t group_;  // heads that are packed at a time
  Buffer packed_;
  ThreadScratch scratch_;
  Tensor normed_keys_;  // [heads, kv_length, head_dim] of the reference
};

Attention::Attention(const AttentionArgs& args, Context& context)
    : args_{args},
      layout_(args.kv_length, args.head_dim, args.products),
      means_(context.memory(), mean_bytes(args.heads, args.head_dim, args.products)),
      factors_(context.memory(), factor_bytes(args.q_length, args.kv_length)),
      q_(args, {args.q, args.q_stride}, args.q_length, args.q_norm,
         reinterpret_cast<float*>(factors_.data()), context),
      k_(args, {args.k, args.k_stride}, args.kv_length, args.k_norm,
         reinterpret_cast<float*>(factors_.data()) + args.q_length, context),
      group_(heads_at_a_time(layout_, args.heads)),
      packed_(context.memory(), packed_bytes(layout_, group_)),
      scratch_(context.memory(), task_count(layout_, args.q_length, args.heads),
               own_floats(args.head_dim)) {
  args_.last_key_bias = std::log(static_cast<float>(args.last_key_count));
  if (args_.mx.codes != nullptr) {
    check(args.head_dim % formats::kMxBlockSize == 0, "heads of whole blocks");
    quantize_ = &select(
        "quantize_mx", quantize_mx_rows(),
        {.m = args.q_length, .k = args.heads * args.head_dim, .options = args.mx.options}, context);
  }
  // The last of the choices, as what follows is attention's time.
  row_ = &select(attention_op(args.products), attention_rows(args.products), args, context);
  if (row_->run == attention_reference && k_.normed()) {
    normed_keys_ = context.tensor({args.heads, args.kv_length, args.head_dim});
  }
}

void Attention::run() {
  q_.prepare();
  k_.prepare();
  norm_keys_for_reference();
  if (args_.products == AttentionProducts::kInt8) find_key_means();
  for (int64_t first = 0; first < args_.heads; first += group_) {
    attend({first, std::min(group_, args_.heads - first)});
  }
}

KeyBlock Attention::key_block(int64_t head, int64_t index, int64_t worker) noexcept {
  const int64_t first = index * layout_.keys();
  const int64_t count = std::min(layout_.keys(), args_.kv_length - first);
  return {.head = head,
          .index = index,
          .first = first,
          .count = count,
          .k = k_.rows(head, first, count, rows_memory(worker))};
}

// The reference reads keys where they are, not packed.
void Attention::norm_keys_for_reference() {
  if (normed_keys_.empty()) return;
  const int64_t head_floats = args_.kv_length * args_.head_dim;
  for (int64_t head = 0; head < args_.heads; ++head) {
    k_.rows(head, 0, args_.kv_length, normed_keys_.from(head * head_floats));
  }
}

HeadRows Attention::plain_keys(int64_t head) const noexcept {
  if (normed_keys_.empty()) return {args_.k + head * args_.head_dim, args_.k_stride};
  return {normed_keys_.from(head * args_.kv_length * args_.head_dim), args_.head_dim};
}

void Attention::find_key_means() {
  auto* const means = reinterpret_cast<float*>(means_.data());
  parallel_for_each(args_.heads, [&](int64_t head, int64_t worker) {
    auto* const sums = reinterpret_cast<double*>(scratch_.slot(worker));
    std::fill_n(sums, args_.head_dim, 0.0);
    for (int64_t i = 0; i < layout_.blocks(); ++i) {
      const KeyBlock block = key_block(head, i, worker);
      add_keys(block.k, block.count, args_.head_dim, sums);
    }
    for (int64_t d = 0; d < args_.head_dim; ++d) {
      means[head * args_.head_dim + d] =
          static_cast<float>(sums[d] / static_cast<double>(args_.kv_length));
    }
  });
  args_.key_mean = means;
}

// Packs keys and values of those heads and computes them.
void Attention::attend(const HeadRange& heads) {
  const auto pack = args_.products == AttentionProducts::kInt8 ? pack_int8_block : pack_block;
  parallel_for_each(heads.count * layout_.blocks(), [&](int64_t i, int64_t worker) {
    const int64_t head = heads.first + i / layout_.blocks();
    pack(args_, layout_, key_block(head, i % layout_.blocks(), worker), packed_head(heads, head));
  });
  const int64_t blocks = ceil_div(args_.q_length, kAttentionQueryBlock);
  parallel_for_each(blocks * heads.count, [&](int64_t i, int64_t worker) {
    run_block(heads, heads.first + i / blocks, i % blocks * kAttentionQueryBlock, worker);
  });
}

// Queries [first, first + kAttentionQueryBlock) of one head as a problem of its own.
void Attention::run_block(const HeadRange& heads, int64_t head, int64_t first,
                          int64_t worker) noexcept {
  float* const memory = rows_memory(worker);
  AttentionBlock block = args_;
  block.heads = 1;
  if (block.key_mean != nullptr) block.key_mean += head * args_.head_dim;
  block.q_length = std::min(kAttentionQueryBlock, args_.q_length - first);
  const HeadRows q = q_.rows(head, first, block.q_length, memory);
  block.q = q.first;
  block.q_stride = q.stride;
  const HeadRows k = plain_keys(head);
  block.k = k.first;
  block.k_stride = k.stride;
  block.v += head * args_.head_dim;
  if (quantize_ == nullptr) {
    block.out += first * args_.out_stride + head * args_.head_dim;
  } else {
    // Where normed queries may lie: the row has read a query when it writes its result.
    block.out = memory;
    block.out_stride = args_.head_dim;
  }
  if (block.relative_bias != nullptr) {
    // The diagonals that these queries see: key - query grows with the distance from the last one.
    block.relative_bias += head * (args_.q_length + args_.kv_length - 1);
    block.relative_bias += args_.q_length - first - block.q_length;
  }
  block.packed = packed_head(heads, head);
  block.scratch = scratch_.slot(worker);
  row_->run(block);
  if (quantize_ == nullptr) return;
  quantize_mx_piece(quantize_->run, memory,
                    {.row = first,
                     .rows = block.q_length,
                     .column = head * args_.head_dim,
                     .columns = args_.head_dim,
                     .n = args_.heads * args_.head_dim},
                    args_.mx);
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

bool attention_counts_last_key(const Device& device) { return device.kind() == DeviceKind::kCpu; }

const char* attention_op(AttentionProducts products) noexcept {
  return products == AttentionProducts::kInt8 ? "attention_int8" : "attention";
}

std::span<const AttentionRow> attention_rows(AttentionProducts products) {
  if (products == AttentionProducts::kInt8) return kInt8Rows;
  return kRows;
}

void attention(const AttentionArgs& args, Context& context) {
  AttentionArgs whole = args;
  const int64_t width = whole.heads * whole.head_dim;
  if (whole.q_stride == 0) whole.q_stride = width;
  if (whole.kv_stride == 0) whole.kv_stride = width;
  if (whole.k_stride == 0) whole.k_stride = whole.kv_stride;
  if (whole.out_stride == 0) whole.out_stride = width;
  check(whole.last_key_count >= 1, "the last key counts at least once");
  if (context.device().kind() != DeviceKind::kCpu) {
    const auto& row =
        select(attention_op(args.products), attention_rows(args.products), whole, context);
    launched_by(row, whole, context);
    return;
  }
  const auto call = std::make_shared<Attention>(whole, context);
  context.launch([call] { call->run(); });
}

}  // namespace mxvideo::kernels
