// One decode of a video autoencoder, that of a model or one of random TI2V-5B weights, on random
// latents. One thread at a time.
#pragma once

#include "bench/model/model_directory.h"
#include "bench/report.h"

namespace mxvideo::bench {

struct VaeBench {
  int64_t frames = 5;                 // 4n + 1
  int64_t height = 256, width = 256;  // multiples of the VAE's spatial factor
  ModelLocation location;
};

// {op, layer, frames, height, width, threads, seconds_median, gflops, peak_rss_bytes, status};
// "gflops" is null: nothing counts the convolutions. Throws Code::kInvalidArgument for sizes that
// the VAE does not take, and as model_directory.h says.
Json bench_vae(const VaeBench& request, const BenchOptions& options);

}  // namespace mxvideo::bench
