// How every bench of an op takes its time and what it prints.
//
// Each iteration times the action once; iterations of rivals (a library on the same work) alternate
// with it, and each figure is a median, so that a disturbance of the machine touches all alike.
// Counters:
//   median_ms   of one action
//   GFLOP/s     Work::flops / time, and fma_%, its part of the fp32 FMA roof
//   GB/s        Work::bytes / time, and memory_%, its part of the read bandwidth (above 100 where
//               the caches hold the data)
//   vs_…        time of the rival / time of the action
// The roofs are measured in the same run (roof_probe.h). One thread at a time.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

#include "bench/timing.h"

namespace mxvideo::bench {

struct Work {
  double flops = 0;  // zero: not stated
  double bytes = 0;  // read or written once
};

struct Rival {
  std::string counter;  // "vs_f32"
  std::function<void()> run;
};

void measure(benchmark::State& state, const Work& work, const std::function<void()>& action,
             const std::vector<Rival>& rivals = {});

// Registers `body`, which calls measure() once: for `iterations` runs, or for 0.2 s when that is 0.
void add_bench(const std::string& name, std::function<void(benchmark::State&)> body,
               int64_t iterations = 0);

// "vs_f32" and, where oneDNN has a kernel for it on this CPU, "vs_bf16".
std::vector<Rival> dense_rivals(int64_t m, int64_t n, int64_t k);

}  // namespace mxvideo::bench
