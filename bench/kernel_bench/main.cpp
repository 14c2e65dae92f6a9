// mxvideo_kernel_bench: the benches of ops that `mxvideo bench` does not have.
// --benchmark_filter=REGEX selects, OMP_NUM_THREADS sets the threads.
#include <benchmark/benchmark.h>

#include <iomanip>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "bench/roof/roof_probe.h"
#include "kernel_bench/registry.h"

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
  const UnitRoof& fma = roofs().units[static_cast<size_t>(RoofUnit::kFp32Fma)];
  if (fma.isa == nullptr) {
    throw Error(Code::kUnsupported, "no roof probe for a CPU without AVX2");
  }
  benchmark::AddCustomContext("cpu", cpu_model_name());
  benchmark::AddCustomContext("cpu_features", cpu_features_to_string(cpu_features()));
  benchmark::AddCustomContext("threads", std::to_string(num_threads()));
  benchmark::AddCustomContext("fma_roof",
                              giga(fma.operations_per_second) + " GFLOP/s fp32 (" + fma.isa + ")");
  benchmark::AddCustomContext("memory_roof", giga(roofs().read_bytes_per_second) + " GB/s read");
  register_matmul();
  register_conv3d();
  register_quantize_mx();
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
    std::cerr << "mxvideo_kernel_bench: " << error.what() << "\n";
    return 1;
  }
}
