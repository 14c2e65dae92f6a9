// out = softmax(scale · Q Kᵀ + bias) V for each head; flash-style, never a q×kv matrix in memory.
//
// Q, K, V and out are [length, heads, head_dim] with a row stride in floats (so that they may be
// slices of a wider row). Softmax statistics and accumulation are fp32 (the reference: double).
// One query row is computed by one thread over keys in ascending order: bits do not depend on the
// thread count. Working memory grows with kv_length, and with q_length only until every thread has
// a block of queries.
//
// Queries and keys may be normed and rotated as they are packed, and the result quantized as it is
// computed (norms, mx): the bits of rms_norm() and rope() before and of quantize_mx() behind, but
// that the reference of rms_norm has its factors rounded to fp32.
//
// AttentionProducts::kInt8 rounds what is multiplied (attention/int8.h) and is an op of its own in
// reports and forced rows, "attention_int8". Error against kFp32, for scores of
// |q|, |k - mean| <= Q, K: |Δscore| <= scale·head_dim·(Q·K/127 + Q·K/254²); then each weight is off
// by 2^-15 of the largest and each value by 1/2046 of the largest of its channel in 96 keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::kernels {

// RMSNorm over all heads of a row, then rotary embedding, of q or k. Without weight: neither.
struct AttentionNorm {
  DevicePtr<const float> weight = nullptr;  // [heads·head_dim]
  float epsilon = 1e-6f;
  DevicePtr<const float> cos = nullptr;  // [length, head_dim/2]; null: no rotation
  DevicePtr<const float> sin = nullptr;  // the same
};

struct AttentionArgs {
  DevicePtr<const float> q = nullptr;  // [q_length, heads, head_dim]
  DevicePtr<const float> k = nullptr;  // [kv_length, heads, head_dim]
  DevicePtr<const float> v = nullptr;  // [kv_length, heads, head_dim]
  DevicePtr<float> out = nullptr;      // [q_length, heads, head_dim]
  int64_t q_length = 0;
  int64_t kv_length = 0;  // >= 1
  // The last key and value stand for this many equal ones, as of a padded text: their score is
  // computed once and counts as often.
  int64_t last_key_count = 1;
  int64_t heads = 0;
  int64_t head_dim = 0;    // any; 128 for the Wan transformer, up to 1,024 in the VAE
  int64_t q_stride = 0;    // floats between rows; 0 means heads·head_dim
  int64_t kv_stride = 0;   // of k and v; 0 means heads·head_dim
  int64_t k_stride = 0;    // of k; 0 means kv_stride
  int64_t out_stride = 0;  // 0 means heads·head_dim
  AttentionNorm q_norm = {};
  AttentionNorm k_norm = {};
  // Where the result goes quantized, as [q_length, heads·head_dim], instead of to `out`, when this
  // has codes. head_dim is a multiple of 32.
  MxOutput mx = {};
  float scale = 1;
  // Added to the scaled scores by relative position (UMT5): bias of key j for query i under head h
  // is relative_bias[h·(q_length + kv_length - 1) + (j - i + q_length - 1)]. Null: none.
  DevicePtr<const float> relative_bias = nullptr;
  AttentionProducts products = AttentionProducts::kFp32;
};

// What a row computes: queries of one head, with what attention() prepares (rows.h).
struct AttentionBlock;
using AttentionRow = Row<AttentionArgs, AttentionBlock>;

// Whether the device's rows count the last key as often as it stands for. Others repeat it, and
// who attends to the same keys again and again repeats it once instead.
bool attention_counts_last_key(const Device& device);

// "attention", "attention_int8"
const char* attention_op(AttentionProducts products) noexcept;
std::span<const AttentionRow> attention_rows(AttentionProducts products = AttentionProducts::kFp32);
void attention(const AttentionArgs& args, Context& context);
Workload workload(const AttentionArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
