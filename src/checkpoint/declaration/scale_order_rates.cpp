#include "checkpoint/declaration/scale_order_rates.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "formats/mx_block.h"
#include "formats/scale_layout.h"

namespace mxvideo::checkpoint {

using formats::ScaleLayout;

StructuredScales::StructuredScales(int64_t k, const ScaleStructure& structure, uint32_t seed)
    : k_(k), rows_(structure.rows), engine_(seed), channels_(static_cast<size_t>(k)) {
  for (float& size : channels_) {
    size = static_cast<float>(std::exp(structure.columns * normal_(engine_)));
  }
}

std::vector<uint8_t> StructuredScales::band() {
  const int64_t columns = k_ / formats::kMxBlockSize;
  std::vector<uint8_t> scales(static_cast<size_t>(kBandRows * columns));
  for (int64_t row = 0; row < kBandRows; ++row) {
    const auto size = static_cast<float>(0.03 * std::exp(rows_ * normal_(engine_)));
    for (int64_t block = 0; block < columns; ++block) {
      float largest = 0;
      for (int64_t i = 0; i < formats::kMxBlockSize; ++i) {
        const size_t channel = static_cast<size_t>(block * formats::kMxBlockSize + i);
        largest = std::max(largest, std::abs(normal_(engine_)) * channels_[channel]);
      }
      scales[static_cast<size_t>(row * columns + block)] =
          formats::mx_scale_byte(std::bit_cast<uint32_t>(largest * size), formats::MxElement::kE4m3,
                                 formats::ScaleRule::kRceil);
    }
  }
  return scales;
}

std::vector<uint8_t> swizzled(const std::vector<uint8_t>& band, int64_t columns) {
  std::vector<uint8_t> result(band.size());
  formats::swizzle_scales({.rows = kBandRows, .columns = columns}, band.data(), result.data());
  return result;
}

ScaleOrderRates scale_order_rates(int64_t k, const ScaleStructure& structure, int models) {
  ScaleOrderRates rates;
  const int64_t columns = k / formats::kMxBlockSize;
  for (int model = 0; model < models; ++model) {
    std::vector<BandContrast> row_major, tiles;
    for (uint32_t layer = 0; layer < 8; ++layer) {
      StructuredScales weights(k, structure, static_cast<uint32_t>(model) * 8 + layer);
      for (int band = 0; band < 2; ++band) {
        const std::vector<uint8_t> scales = weights.band();
        row_major.push_back(contrast_of_band(scales.data(), columns));
        tiles.push_back(contrast_of_band(swizzled(scales, columns).data(), columns));
      }
    }
    rates.models += 2;
    rates.right += judge_bands(row_major, ScaleLayout::kRowMajor).other_order;
    rates.right += judge_bands(tiles, ScaleLayout::kSwizzled).other_order;
    rates.wrong += judge_bands(row_major, ScaleLayout::kSwizzled).other_order;
    rates.wrong += judge_bands(tiles, ScaleLayout::kRowMajor).other_order;
  }
  return rates;
}

}  // namespace mxvideo::checkpoint
