// mxvideo_bench: every kernel bench of the repository in one program.
// --benchmark_filter=REGEX selects, OMP_NUM_THREADS sets the threads.
#include <benchmark/benchmark.h>

#include <iomanip>
#include <iostream>
#include <sstream>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/parallel.h"
#include "bench/registry.h"
#include "bench/roof_probe.h"

namespace mxvideo::bench {
namespace {

std::string giga(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << value * 1e-9;
  return text.str();
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const Roofs& roof = roofs();
  benchmark::AddCustomContext("cpu", cpu_model_name());
  benchmark::AddCustomContext("cpu_features", cpu_features_to_string(cpu_features()));
  benchmark::AddCustomContext("threads", std::to_string(num_threads()));
  benchmark::AddCustomContext("fma_roof", giga(roof.flops) + " GFLOP/s fp32 (" + roof.isa + ")");
  benchmark::AddCustomContext("memory_roof", giga(roof.bytes_per_second) + " GB/s read");
  register_gemm_mxfp8();
  register_matmul();
  register_attention();
  register_conv3d();
  register_quantize_mxfp8();
  register_vector_ops();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace mxvideo::bench

int main(int argc, char** argv) {
  try {
    return mxvideo::bench::run(argc, argv);
  } catch (const mxvideo::Error& error) {
    std::cerr << "mxvideo_bench: " << error.what() << "\n";
    return 1;
  }
}
