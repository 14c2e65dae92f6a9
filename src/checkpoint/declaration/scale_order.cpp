#include "checkpoint/declaration/scale_order.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "base/text/format.h"
#include "formats/mx_block.h"
#include "formats/scale_layout.h"

namespace mxvideo::checkpoint {
namespace {

using formats::ScaleGrid;
using formats::ScaleLayout;

constexpr int64_t kBandRows = 128;
constexpr int64_t kTileColumns = 4;
// Measured on scales of independent weights (scale_order_test.cpp): times 1 / sqrt(scales).
constexpr double kNoise = 0.2;
// Beyond chance, and an effect that is worth a line.
constexpr double kDeviations = 6;
constexpr double kLeastContrast = 0.005;

// Sum of squares that the means of rows and columns leave of a band [128, columns].
double unexplained(const uint8_t* band, int64_t columns) {
  std::array<double, kBandRows> rows{};
  std::vector<double> column_sums(static_cast<size_t>(columns));
  double total = 0, squares = 0;
  for (int64_t r = 0; r < kBandRows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const double value = band[r * columns + c];
      rows[static_cast<size_t>(r)] += value;
      column_sums[static_cast<size_t>(c)] += value;
      squares += value * value;
    }
    total += rows[static_cast<size_t>(r)];
  }
  const double mean_part = total * total / static_cast<double>(kBandRows * columns);
  double row_part = 0, column_part = 0;
  for (const double sum : rows) row_part += sum * sum / static_cast<double>(columns);
  for (const double sum : column_sums) column_part += sum * sum / double{kBandRows};
  return std::max(0.0, squares - row_part - column_part + mean_part);
}

struct Scales {
  const StoredTensor* tensor;
  int64_t columns;
  int64_t bands;
};

// Layers of which both orders are possible.
std::vector<Scales> ambiguous_scales(const TransformerCheckpoint& opened) {
  std::vector<Scales> found;
  const auto& tensors = opened.checkpoint.tensors();
  for (const auto& [name, layer] : opened.quantization.layers) {
    const auto weight = tensors.find(name + ".weight");
    const auto scale = tensors.find(name + ".weight_scale");
    if (!layer.element || weight == tensors.end() || scale == tensors.end()) continue;
    const Shape& shape = weight->second.view.shape;
    const int64_t rows = shape[0], columns = shape[1] / formats::kMxBlockSize;
    if (rows % kBandRows != 0 || columns % kTileColumns != 0 || columns == 0) continue;
    if (scale->second.view.bytes() != rows * columns) continue;
    found.push_back({&scale->second, columns, rows / kBandRows});
  }
  return found;
}

// The i-th of `count` that are spread over `size`.
int64_t spread(int64_t i, int64_t count, int64_t size) { return (2 * i + 1) * size / (2 * count); }

std::string percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", 100 * share);
  return text.data();
}

}  // namespace

BandContrast contrast_of_band(const uint8_t* bytes, int64_t columns) {
  std::vector<uint8_t> unswizzled(static_cast<size_t>(kBandRows * columns));
  formats::unswizzle_scales({.rows = kBandRows, .columns = columns}, bytes, unswizzled.data());
  const double row_major = unexplained(bytes, columns);
  const double swizzled = unexplained(unswizzled.data(), columns);
  const double sum = row_major + swizzled;
  return {.value = sum > 0 ? (swizzled - row_major) / sum : 0,
          .noise = kNoise / std::sqrt(static_cast<double>(kBandRows * columns))};
}

ScaleOrderEvidence judge_bands(std::span<const BandContrast> bands, ScaleLayout declared) {
  ScaleOrderEvidence evidence;
  evidence.bands = std::ssize(bands);
  if (bands.empty()) return evidence;
  const double sign = declared == ScaleLayout::kRowMajor ? 1 : -1;
  const auto count = static_cast<double>(bands.size());
  double noise = 0;
  for (const BandContrast& band : bands) {
    evidence.contrast += sign * band.value / count;
    noise += band.noise * band.noise / count;
  }
  double spread_of_bands = 0;
  for (const BandContrast& band : bands) {
    const double difference = sign * band.value - evidence.contrast;
    spread_of_bands += difference * difference / count;
  }
  const double deviation = std::sqrt(std::max(noise, spread_of_bands) / count);
  evidence.other_order =
      evidence.contrast < -kLeastContrast && evidence.contrast < -kDeviations * deviation;
  return evidence;
}

ScaleOrderEvidence examine_scale_order(const TransformerCheckpoint& opened,
                                       const ScaleOrderSample& sample) {
  const std::vector<Scales> all = ambiguous_scales(opened);
  const int64_t layers = std::min(sample.layers, std::ssize(all));
  std::vector<BandContrast> bands;
  for (int64_t i = 0; i < layers; ++i) {
    const Scales& scales = all[static_cast<size_t>(spread(i, layers, std::ssize(all)))];
    const auto* bytes = reinterpret_cast<const uint8_t*>(scales.tensor->view.data);
    const int64_t count = std::min(sample.bands, scales.bands);
    for (int64_t j = 0; j < count; ++j) {
      const int64_t band = spread(j, count, scales.bands);
      bands.push_back(contrast_of_band(bytes + band * kBandRows * scales.columns, scales.columns));
    }
    scales.tensor->release_pages();
  }
  ScaleOrderEvidence evidence = judge_bands(bands, opened.quantization.scale_layout);
  evidence.layers = layers;
  return evidence;
}

std::string scale_order_warning(const TransformerCheckpoint& opened,
                                const ScaleOrderSample& sample) {
  const ScaleOrderEvidence evidence = examine_scale_order(opened, sample);
  if (!evidence.other_order) return "";
  const bool row_major = opened.quantization.scale_layout == ScaleLayout::kRowMajor;
  const double c = -evidence.contrast;
  return opened.checkpoint.description() + ": the block scales look " +
         (row_major ? "swizzled, and are declared row-major"
                    : "row-major, and are declared swizzled") +
         " by " + opened.quantization.origin + ": in the other order rows and columns leave " +
         percent(2 * c / (1 + c)) + " less of their variance unexplained (" +
         count_of(evidence.bands, "sample") + " of " + count_of(evidence.layers, "layer") +
         "); nothing is changed; to prove it, verify the files against the original weights";
}

}  // namespace mxvideo::checkpoint
