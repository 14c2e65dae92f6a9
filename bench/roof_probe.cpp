#include "bench/roof_probe.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/parallel.h"
#include "bench/roof_kernels.h"
#include "bench/stopwatch.h"
#include "tensor/tensor.h"

namespace mxvideo::bench {
namespace {

constexpr int kTrials = 12;

// Best rate of `body`, which every thread runs and which does `work` per thread.
template <class Body>
double best_rate(double work, const Body& body) {
  double best = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const double seconds = seconds_of([&] { parallel_for(num_threads(), 1, body); });
    best = std::max(best, work * num_threads() / seconds);
  }
  return best;
}

Roofs measure(const RoofKernels& kernels, const char* isa) {
  constexpr int64_t kSteps = 5'000'000;
  constexpr int64_t kFloats = int64_t{1} << 25;  // 128 MiB per thread
  Roofs roofs{.isa = isa};
  roofs.flops =
      best_rate(static_cast<double>(kSteps * kernels.flops_per_step),
                [&](int64_t, int64_t) { benchmark::DoNotOptimize(kernels.multiply_add(kSteps)); });
  const Tensor array = Tensor::zeros({num_threads(), kFloats});
  roofs.bytes_per_second =
      best_rate(static_cast<double>(kFloats) * sizeof(float), [&](int64_t thread, int64_t) {
        benchmark::DoNotOptimize(kernels.read(array.f32() + thread * kFloats, kFloats));
      });
  return roofs;
}

}  // namespace

const Roofs& roofs() {
  static std::map<int, Roofs> measured;
  const auto found = measured.find(num_threads());
  if (found != measured.end()) return found->second;
  Roofs now;
  if (cpu_has(cpu_features(), kCpuAvx512)) {
    now = measure(kRoofAvx512, "avx512");
  } else if (cpu_has(cpu_features(), kCpuAvx2)) {
    now = measure(kRoofAvx2, "avx2");
  } else {
    throw Error(Code::kUnsupported, "no roof probe for a CPU without AVX2");
  }
  return measured[num_threads()] = now;
}

}  // namespace mxvideo::bench
