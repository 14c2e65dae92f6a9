// Linear layers under a scheme, as a model runs them: activations in fp32, quantized within the
// timed work where the scheme quantizes them, weights processed before. Every row of the op's table
// takes turns with oneDNN's dense products of the same shape. One thread at a time.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/shapes.h"
#include "quantization/quantization_config.h"

namespace mxvideo::bench {

struct GemmBench {
  std::string scheme =
      quantization::kSmallScheme;  // of quantization_schemes(), without those that files declare
  std::string kernel;              // a row of the scheme's op; empty: all
  std::vector<GemmProblem> problems;
};

struct GemmRow {
  std::string op, scheme, kernel;
  GemmProblem problem;
  int threads = 0;
  RowState state;
  double seconds = 0;                     // median; 0: not measured
  std::array<double, 3> rival_seconds{};  // in the order of kRivalTypes; 0: oneDNN has no kernel
};

// Seconds of one layer k -> n of m rows under a scheme, by the kernels that run without being
// forced: the median of a few runs.
double linear_seconds(const std::string& scheme, int64_t m, int64_t k, int64_t n);

// {op, scheme, compute, kernel, m, k, n, threads, seconds_median, gflops, roof, roof_fraction,
// ratio_onednn_f32, ratio_onednn_bf16, ratio_onednn_int8, layer, status}; 2·m·k·n operations; a
// ratio is the rival's time over ours.
Json gemm_row_json(const GemmRow& row);

// The op that multiplies under a scheme. Throws Code::kInvalidArgument for a scheme without one.
std::string op_of_scheme(const std::string& scheme);

// Throws Code::kInvalidArgument and Code::kDevice as described above and in report.h,
// Code::kCancelled.
std::vector<GemmRow> bench_gemm(const GemmBench& request, const BenchOptions& options);

}  // namespace mxvideo::bench
