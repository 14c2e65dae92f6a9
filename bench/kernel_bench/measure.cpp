#include "kernel_bench/measure.h"

#include <memory>
#include <utility>

#include "base/median.h"
#include "bench/dense_product.h"
#include "bench/roof/roof_probe.h"
#include "bench/stopwatch.h"

namespace mxvideo::bench {
void measure(benchmark::State& state, const Work& work, const std::function<void()>& action,
             const std::vector<Rival>& rivals) {
  action();
  for (const Rival& rival : rivals) rival.run();
  std::vector<double> times;
  std::vector<std::vector<double>> rival_times(rivals.size());
  for (auto unused : state) {
    times.push_back(seconds_of(action));
    state.SetIterationTime(times.back());
    for (size_t i = 0; i < rivals.size(); ++i) {
      rival_times[i].push_back(seconds_of(rivals[i].run));
    }
  }
  const double seconds = lower_median(times);
  state.counters["median_ms"] = seconds * 1e3;
  if (work.flops > 0) {
    state.counters["GFLOP/s"] = work.flops / seconds * 1e-9;
    state.counters["fma_%"] =
        100 * work.flops / seconds / roofs().operations_per_second(RoofUnit::kFp32Fma);
  }
  if (work.bytes > 0) {
    state.counters["GB/s"] = work.bytes / seconds * 1e-9;
    state.counters["memory_%"] = 100 * work.bytes / seconds / roofs().read_bytes_per_second;
  }
  for (size_t i = 0; i < rivals.size(); ++i) {
    state.counters[rivals[i].counter] = lower_median(rival_times[i]) / seconds;
  }
}

void add_bench(const std::string& name, std::function<void(benchmark::State&)> body,
               int64_t iterations) {
  benchmark::internal::Benchmark* bench =
      benchmark::RegisterBenchmark(name.c_str(), std::move(body));
  bench->UseManualTime()->Unit(benchmark::kMillisecond);
  if (iterations > 0) {
    bench->Iterations(iterations);
  } else {
    bench->MinTime(0.2);
  }
}

std::vector<Rival> dense_rivals(int64_t m, int64_t n, int64_t k) {
  std::vector<Rival> rivals;
  for (const RivalType type : {RivalType::kF32, RivalType::kBf16}) {
    const std::shared_ptr<DenseProduct> product = DenseProduct::create(m, n, k, type);
    if (product == nullptr) continue;
    rivals.push_back({std::string("vs_") + rival_name(type), [product] { product->run(); }});
  }
  return rivals;
}

}  // namespace mxvideo::bench
