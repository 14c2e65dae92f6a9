#include "bench/measure.h"

#include <algorithm>
#include <utility>

#include "bench/roof_probe.h"
#include "bench/stopwatch.h"

namespace mxvideo::bench {
namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

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
  const double seconds = median(times);
  state.counters["median_ms"] = seconds * 1e3;
  if (work.flops > 0) {
    state.counters["GFLOP/s"] = work.flops / seconds * 1e-9;
    state.counters["fma_%"] = 100 * work.flops / seconds / roofs().flops;
  }
  if (work.bytes > 0) {
    state.counters["GB/s"] = work.bytes / seconds * 1e-9;
    state.counters["memory_%"] = 100 * work.bytes / seconds / roofs().bytes_per_second;
  }
  for (size_t i = 0; i < rivals.size(); ++i) {
    state.counters[rivals[i].counter] = median(rival_times[i]) / seconds;
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

std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
  }
  return values;
}

}  // namespace mxvideo::bench
