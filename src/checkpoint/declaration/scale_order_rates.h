// How often the check of the scales' order is right: of models of known structure, whose weights
// are normal numbers times sizes of rows and of input channels. For tests and the bench. Not
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "checkpoint/declaration/scale_order.h"

namespace mxvideo::checkpoint {

inline constexpr int64_t kBandRows = 128;

// Logarithms to base e of the standard deviations of rows and of input channels.
struct ScaleStructure {
  const char* name;
  double rows, columns;
};

// Those that the check has to find.
inline constexpr std::array kScaleStructures = {
    ScaleStructure{"rows 10 %", 0.1, 0}, ScaleStructure{"rows 20 %", 0.2, 0},
    ScaleStructure{"rows 40 %", 0.4, 0}, ScaleStructure{"rows 20 %, channels 30 %", 0.2, 0.3},
    ScaleStructure{"channels 50 %", 0, 0.5}};

class StructuredScales {
 public:
  StructuredScales(int64_t k, const ScaleStructure& structure, uint32_t seed);
  // Scale bytes [128, k/32] of the next rows, in row-major order.
  std::vector<uint8_t> band();

 private:
  int64_t k_;
  double rows_;
  std::mt19937 engine_;
  std::normal_distribution<float> normal_;
  std::vector<float> channels_;
};

// A band in the other order.
std::vector<uint8_t> swizzled(const std::vector<uint8_t>& band, int64_t columns);

// Of models with 16 sampled bands of k inputs, half of them stored by rows: how many are warned of,
// declared as they are stored and declared otherwise.
struct ScaleOrderRates {
  int right = 0, wrong = 0, models = 0;
};
ScaleOrderRates scale_order_rates(int64_t k, const ScaleStructure& structure, int models);

}  // namespace mxvideo::checkpoint
