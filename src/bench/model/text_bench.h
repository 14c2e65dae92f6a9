// One prompt through a text encoder, that of a model or one of random UMT5-XXL weights. A prompt is
// short, so that at best the weights pass through the cores once: the roof is reading them. One
// thread at a time.
#pragma once

#include <string>

#include "bench/model/model_directory.h"
#include "bench/report.h"
#include "quantization/quantization_config.h"

namespace mxvideo::bench {

struct TextBench {
  std::string scheme = quantization::kNoScheme;
  int64_t layers = 4;   // of random weights
  int64_t tokens = 64;  // of the prompt
  ModelLocation location;
};

// {op, scheme, layers, tokens, threads, seconds_median, gflops, bytes_read, roof, roof_fraction,
// peak_rss_bytes, weight_bytes, status}: of the linear layers, whose weights "bytes_read" counts;
// the roof is "read". Throws as LoadBench's.
Json bench_text(const TextBench& request, const BenchOptions& options);

}  // namespace mxvideo::bench
