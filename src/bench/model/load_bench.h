// A checkpoint from the page cache into a transformer under a scheme: seconds, bytes of the
// checkpoint per second, and their part of the machine's copy bandwidth measured in the same run.
// One thread at a time.
#pragma once

#include <string>

#include "bench/model/model_directory.h"
#include "bench/report.h"
#include "quantization/quantization_config.h"

namespace mxvideo::bench {

struct LoadBench {
  std::string scheme = quantization::kSmallScheme;
  int64_t layers = 4;  // of random weights
  ModelLocation location;
};

// {op, scheme, layers, threads, bytes_read, seconds_median, bytes_per_second, roof, roof_fraction,
// peak_rss_bytes, weight_bytes, status}; the roof is "copy", and the first load, which fills the
// page cache, is not timed. Throws as StepBench's.
Json bench_load(const LoadBench& request, const BenchOptions& options);

}  // namespace mxvideo::bench
