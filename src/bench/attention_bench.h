// Attention of the Wan transformers for every row of the table: self attention of a token over all
// of them, cross attention over the 512 rows of a text; in integers the former only. One thread at
// a time.
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"
#include "kernels/common/context.h"

namespace mxvideo::bench {

struct AttentionBench {
  std::string kernel;                     // a row of attention; empty: all
  std::vector<int64_t> lengths = {2048};  // tokens
  int64_t heads = 24;                     // of TI2V-5B; A14B has 40
  int64_t head_dim = 128;
};

struct AttentionRow {
  kernels::AttentionProducts products = kernels::AttentionProducts::kFp32;
  std::string layer;  // "self" or "cross"
  std::string kernel;
  int64_t q_length = 0, kv_length = 0, heads = 0, head_dim = 0;
  int threads = 0;
  RowState state;
  double seconds = 0;  // median; 0: not measured
  double sqnr_db = 0;  // of kInt8 to kFp32, on the same random q, k and v; 0: not measured
  int64_t peak_rss_bytes = 0;
};

// {op, layer, kernel, q_length, kv_length, heads, head_dim, threads, seconds_median, gflops, roof,
// roof_fraction, peak_rss_bytes, sqnr_db, status}; 4·q·kv·heads·head_dim operations.
Json attention_row_json(const AttentionRow& row);

// Throws Code::kInvalidArgument and Code::kDevice for the kernel as report.h says,
// Code::kCancelled.
std::vector<AttentionRow> bench_attention(const AttentionBench& request,
                                          const BenchOptions& options);

}  // namespace mxvideo::bench
