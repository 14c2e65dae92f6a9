// One forward of a transformer of TI2V-5B width on random weights, under one scheme or several that
// take turns. One thread at a time.
//
// The forward's own operations, two per multiply-add, with T tokens, R distinct text rows, d = dim,
// f = ffn_dim, q = freq_dim, p_in and p_out values of a patch, one timestep:
//   2 · [ layers · (T·(6d² + 2df) + 2T²·d + 2T·R·d) + (q·d + d² + 6d²) + T·d·(p_in + p_out) ]
// that is, linears of a block (q, k, v, out; q and out of the cross attention; the two of the feed
// forward), both attentions, then time, patch embedding and head. Those of the text are made once
// for a prompt and left out.
//
// Shares of the time per class of kernel: a call counts from the choice of its row to the next
// choice, so what little lies between two kernels counts with the first.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "bench/model/model_directory.h"
#include "bench/report.h"
#include "models/wan_transformer/wan_transformer.h"
#include "quantization/quantization_config.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::bench {

inline constexpr int64_t kMostTextTokens = tokenizer::Umt5Tokenizer::kMaxLength;

struct StepBench {
  std::vector<std::string> schemes = {quantization::kSmallScheme};
  int64_t layers = 4;
  int64_t tokens = 780;
  int64_t text_tokens = kMostTextTokens;  // of the prompt; zeros behind them
  kernels::RunPolicy policy = {};
  // With `keep`, what a peer needs to run the same is written beside the transformer:
  // inputs.safetensors (latents, text, timestep), output-SCHEME.safetensors (velocity), step.json.
  ModelLocation location;
};

struct StepRow {
  std::string scheme;
  kernels::RunPolicy policy = {};
  int64_t layers = 0, tokens = 0;
  int64_t text_rows = 0;  // distinct: the prompt's and one of padding
  int threads = 0;
  double flops = 0;
  double seconds = 0;       // median
  double seconds_none = 0;  // of scheme none in the same run; 0: it was not in it
  int64_t weight_bytes = 0;
  int64_t peak_rss_bytes = 0;                  // of the forward; 0 with several schemes in memory
  std::map<std::string, double> share;         // "gemm", "quantize", "attention", "rest"; sum 1
  std::map<std::string, std::string> kernels;  // op -> rows that ran
};

// {op, scheme, compute, attention, layers, tokens, text_rows, threads, seconds_median, gflops,
// ratio_none, peak_rss_bytes, weight_bytes, share_gemm, share_quantize, share_attention,
// share_rest, kernels, status}
Json step_row_json(const StepRow& row);

// The operations above; text_rows are the distinct ones.
double forward_flops(const models::WanTransformerConfig& config, int64_t tokens, int64_t text_rows);

// Those of them that multiply queries with keys and weights with values.
double attention_flops(const models::WanTransformerConfig& config, int64_t tokens,
                       int64_t text_rows);

// Frames, height and width of a latent with this many tokens, in tokens: pictures of 832x480 or
// 1280x704 pixels where the number allows it, else one picture as square as it allows. Throws
// Code::kInvalidArgument when a side would exceed 1,024.
std::array<int64_t, 3> token_grid(int64_t tokens);

// Throws Code::kInvalidArgument for a scheme that is unknown, Code::kNumerics when an output is not
// finite, Code::kCancelled, and as model_directory.h says.
std::vector<StepRow> bench_step(const StepBench& request, const BenchOptions& options);

}  // namespace mxvideo::bench
