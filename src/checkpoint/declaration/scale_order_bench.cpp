// mxvideo_scale_order_bench: how often the check of the scales' order finds a wrong one and gives a
// false alarm, at the widths of the real layers, and what it costs a run that opens such a model.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/median.h"
#include "base/system/cpu_features.h"
#include "checkpoint/declaration/scale_order_rates.h"

namespace mxvideo::checkpoint {
namespace {

constexpr int kModels = 10;

void print_rates(int64_t k, const ScaleStructure& structure) {
  const ScaleOrderRates rates = scale_order_rates(k, structure, kModels);
  std::printf("%5d  %-26s %3d of %d %10d of %d\n", static_cast<int>(k), structure.name, rates.wrong,
              rates.models, rates.right, rates.models);
  std::fflush(stdout);
}

// Of the bands that a run samples: two of each of eight layers.
double milliseconds(int64_t k) {
  const std::vector<uint8_t> band = StructuredScales(k, {"none", 0, 0}, 1).band();
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) {
    const auto start = std::chrono::steady_clock::now();
    for (int sample = 0; sample < 16; ++sample) contrast_of_band(band.data(), k / 32);
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    times.push_back(spent.count());
  }
  return lower_median(times);
}

void run() {
  constexpr std::array<int64_t, 4> kInputs = {3072, 5120, 13824, 14336};
  std::printf("%s\nmilliseconds of a run that samples 16 bands of k inputs:",
              cpu_model_name().c_str());
  for (const int64_t k : kInputs) std::printf(" %.1f (%d)", milliseconds(k), static_cast<int>(k));
  std::printf("\n    k  sizes of the weights        found wrong   false alarms\n");
  for (const int64_t k : kInputs) {
    print_rates(k, {"none", 0, 0});
    print_rates(k, {"rows 5 %", 0.05, 0});
    for (const ScaleStructure& structure : kScaleStructures) print_rates(k, structure);
  }
}

}  // namespace
}  // namespace mxvideo::checkpoint

int main() { mxvideo::checkpoint::run(); }
