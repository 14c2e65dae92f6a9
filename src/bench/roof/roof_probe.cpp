#include "bench/roof/roof_probe.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <numeric>

#include "base/parallel.h"
#include "bench/roof/roof_kernels.h"
#include "bench/stopwatch.h"
#include "tensor/tensor.h"

namespace mxvideo::bench {
namespace {

constexpr int kTrials = 12;
constexpr CpuFeatures kVnni512 = kCpuAvx512 | kCpuAvx512Vnni;
constexpr CpuFeatures kFp16 = kCpuAvx512 | kCpuAvx512Fp16;

constexpr std::array kUnitNames = {"fp32_fma",  "fp16_fma", "int16_madd",
                                   "int8_vnni", "bf16_dot", "bf16_amx"};

constexpr std::array kLoops = {
    RoofLoop{RoofUnit::kFp32Fma, "avx512", kCpuAvx512},
    RoofLoop{RoofUnit::kFp32Fma, "avx2", kCpuAvx2},
    RoofLoop{RoofUnit::kFp16Fma, "avx512_fp16", kFp16},
    RoofLoop{RoofUnit::kInt16Madd, "avx512_vnni", kVnni512},
    RoofLoop{RoofUnit::kInt16Madd, "avx_vnni", kCpuAvx2 | kCpuAvxVnni},
    RoofLoop{RoofUnit::kInt16Madd, "avx2", kCpuAvx2},
    RoofLoop{RoofUnit::kInt8Vnni, "avx512_vnni", kVnni512},
    RoofLoop{RoofUnit::kInt8Vnni, "avx_vnni", kCpuAvx2 | kCpuAvxVnni},
    RoofLoop{RoofUnit::kBf16Dot, "avx512_bf16", kCpuAvx512 | kCpuAvx512Bf16},
    RoofLoop{RoofUnit::kBf16Amx, "amx_bf16", kCpuAmxBf16},
};
// In the order of kLoops; not constexpr, as the objects lie in other files.
const std::array<const RoofKernel*, kLoops.size()> kKernels = {
    &kRoofFp32FmaAvx512,    &kRoofFp32FmaAvx2,   &kRoofFp16FmaAvx512,  &kRoofInt16MaddAvx512,
    &kRoofInt16MaddAvxVnni, &kRoofInt16MaddAvx2, &kRoofInt8VnniAvx512, &kRoofInt8VnniAvx,
    &kRoofBf16DotAvx512,    &kRoofBf16Amx,
};

struct RowUnit {
  std::string_view row;
  RoofUnit unit;
};
constexpr std::array kRowUnits = {
    RowUnit{"avx2", RoofUnit::kFp32Fma},
    RowUnit{"avx512", RoofUnit::kFp32Fma},
    RowUnit{"highway", RoofUnit::kFp32Fma},
    RowUnit{"matvec", RoofUnit::kFp32Fma},
    RowUnit{"onednn", RoofUnit::kFp32Fma},
    RowUnit{"reference", RoofUnit::kFp32Fma},
    RowUnit{"reference_fast", RoofUnit::kFp32Fma},
    RowUnit{"avx512_vnni_int16", RoofUnit::kInt16Madd},
    RowUnit{"avx_vnni_int16", RoofUnit::kInt16Madd},
    RowUnit{"avx2_int16", RoofUnit::kInt16Madd},
    RowUnit{"highway_int16", RoofUnit::kInt16Madd},
    RowUnit{"avx512_vnni_int8", RoofUnit::kInt8Vnni},
    RowUnit{"avx512_vnni_fast", RoofUnit::kInt8Vnni},
    RowUnit{"avx512_bf16", RoofUnit::kBf16Dot},
    RowUnit{"amx_bf16", RoofUnit::kBf16Amx},
};

// Keeps the work behind `value` from being removed.
std::atomic<float> sink;
void keep(float value) { sink.store(value, std::memory_order_relaxed); }

// Best rate of `body(thread)`, which every thread runs and which does `work` per thread. Each
// counts its own processor time, so that other programs cannot lower a roof.
template <class Body>
double best_rate(double work, const Body& body) {
  double best = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> rates(static_cast<size_t>(num_threads()));
    const auto rate_of = [&](int64_t thread) {
      return work / thread_seconds_of([&] { body(thread); });
    };
    parallel_for(num_threads(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) rates[static_cast<size_t>(i)] = rate_of(i);
    });
    best = std::max(best, std::accumulate(rates.begin(), rates.end(), 0.0));
  }
  return best;
}

UnitRoof measure_unit(RoofUnit unit) {
  constexpr int64_t kSteps = 5'000'000;
  UnitRoof roof{.unit = unit};
  for (size_t i = 0; i < kLoops.size() && roof.isa == nullptr; ++i) {
    if (kLoops[i].unit != unit || !cpu_has(cpu_features(), kLoops[i].requires_cpu)) continue;
    const RoofKernel& kernel = *kKernels[i];
    roof.isa = kLoops[i].isa;
    roof.operations_per_second = best_rate(static_cast<double>(kSteps * kernel.operations_per_step),
                                           [&](int64_t) { keep(kernel.run(kSteps)); });
  }
  return roof;
}

void measure_memory(Roofs& roofs) {
  constexpr int64_t kFloats = int64_t{1} << 25;  // 128 MiB per thread and array
  constexpr double kBytes = static_cast<double>(kFloats) * sizeof(float);
  const Tensor source = Tensor::zeros({num_threads(), kFloats});
  Tensor target = Tensor::zeros({num_threads(), kFloats});
  roofs.copy_bytes_per_second = best_rate(kBytes, [&](int64_t thread) {
    std::memcpy(target.f32() + thread * kFloats, source.f32() + thread * kFloats,
                static_cast<size_t>(kFloats) * sizeof(float));
  });
  const bool avx512 = cpu_has(cpu_features(), kCpuAvx512);
  if (!avx512 && !cpu_has(cpu_features(), kCpuAvx2)) return;
  const ReadKernel read = avx512 ? kReadAvx512 : kReadAvx2;
  roofs.read_bytes_per_second = best_rate(
      kBytes, [&](int64_t thread) { keep(read(source.f32() + thread * kFloats, kFloats)); });
}

}  // namespace

const char* unit_name(RoofUnit unit) { return kUnitNames[static_cast<size_t>(unit)]; }

const RoofUnit* unit_of_row(std::string_view row) {
  const auto* found = std::ranges::find(kRowUnits, row, &RowUnit::row);
  return found == kRowUnits.end() ? nullptr : &found->unit;
}

std::span<const RoofLoop> roof_loops() { return kLoops; }

double Roofs::operations_per_second(RoofUnit unit) const {
  return units[static_cast<size_t>(unit)].operations_per_second;
}

const Roofs& roofs() {
  static std::map<int, Roofs> measured;
  const auto found = measured.find(num_threads());
  if (found != measured.end()) return found->second;
  Roofs now;
  for (size_t unit = 0; unit < kUnitNames.size(); ++unit) {
    now.units.push_back(measure_unit(static_cast<RoofUnit>(unit)));
  }
  measure_memory(now);
  return measured[num_threads()] = now;
}

}  // namespace mxvideo::bench
