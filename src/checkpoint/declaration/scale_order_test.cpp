// Detection and false alarms, on scales of weights of known structure in the width of a real layer,
// and of the demo model. `make bench-scale-order` has the rates at all widths.
#include "checkpoint/declaration/scale_order.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>

#include "checkpoint/declaration/scale_order_rates.h"
#include "formats/mx_block.h"
#include "formats/scale_layout.h"

namespace mxvideo::checkpoint {
namespace {

using formats::ScaleLayout;

TEST(ScaleOrder, WarnsOfStructureInTheOtherOrderAndOfNothingElse) {
  for (const ScaleStructure& structure : kScaleStructures) {
    const ScaleOrderRates rates = scale_order_rates(3072, structure, 1);
    EXPECT_EQ(rates.wrong, rates.models) << structure.name;
    EXPECT_EQ(rates.right, 0) << structure.name;
  }
}

TEST(ScaleOrder, SaysNothingOfIndependentWeights) {
  const ScaleOrderRates rates = scale_order_rates(3072, {"none", 0, 0}, 2);
  EXPECT_EQ(rates.right + rates.wrong, 0);
}

// The demo's layers of 768 inputs: 128 of their 192 rows. Their own sizes leave one order only.
TEST(ScaleOrder, TrainedWeightsOfTheDemoSpeakForTheirOrder) {
  const Checkpoint demo =
      Checkpoint::open_directory(MXVIDEO_SHIPPED_MODELS "/wan-tiny-ti2v/transformer");
  constexpr int64_t kInputs = 768, kBlocks = kInputs / formats::kMxBlockSize;
  std::vector<BandContrast> row_major, tiles;
  for (const auto& [name, tensor] : demo.tensors()) {
    if (!name.ends_with("ffn.net.2.weight")) continue;
    const Tensor weight = to_f32(tensor.view);
    ASSERT_EQ(weight.dim(1), kInputs);
    std::vector<uint8_t> scales;
    for (int64_t i = 0; i < kBandRows * kInputs; i += formats::kMxBlockSize) {
      float largest = 0;
      for (int64_t j = i; j < i + formats::kMxBlockSize; ++j) {
        largest = std::max(largest, std::abs(weight.f32()[j]));
      }
      scales.push_back(formats::mx_scale_byte(
          std::bit_cast<uint32_t>(largest), formats::MxElement::kE4m3, formats::ScaleRule::kRceil));
    }
    row_major.push_back(contrast_of_band(scales.data(), kBlocks));
    tiles.push_back(contrast_of_band(swizzled(scales, kBlocks).data(), kBlocks));
  }
  ASSERT_EQ(row_major.size(), 6u);
  std::printf("demo: contrast %.4f in rows, %.4f in tiles\n",
              judge_bands(row_major, ScaleLayout::kRowMajor).contrast,
              judge_bands(tiles, ScaleLayout::kSwizzled).contrast);
  EXPECT_FALSE(judge_bands(row_major, ScaleLayout::kRowMajor).other_order);
  EXPECT_FALSE(judge_bands(tiles, ScaleLayout::kSwizzled).other_order);
  EXPECT_TRUE(judge_bands(row_major, ScaleLayout::kSwizzled).other_order);
  EXPECT_TRUE(judge_bands(tiles, ScaleLayout::kRowMajor).other_order);
}

// The noise that judge_bands() assumes where there are too few bands to estimate it.
TEST(ScaleOrder, NoiseOfABandIsWhatItStates) {
  for (const int64_t k : {512, 3072}) {
    StructuredScales weights(k, {"none", 0, 0}, 7);
    double squares = 0, stated = 0;
    constexpr int kBands = 60;
    for (int i = 0; i < kBands; ++i) {
      const BandContrast contrast = contrast_of_band(weights.band().data(), k / 32);
      squares += contrast.value * contrast.value / kBands;
      stated = contrast.noise;
    }
    EXPECT_LT(std::sqrt(squares), stated * 1.2);
    EXPECT_GT(std::sqrt(squares), stated / 4);
  }
}

TEST(ScaleOrder, EqualScalesSayNothing) {
  const std::vector<uint8_t> scales(size_t{128} * 8, 120);
  EXPECT_EQ(contrast_of_band(scales.data(), 8).value, 0);
  EXPECT_FALSE(judge_bands({}, ScaleLayout::kRowMajor).other_order);
}

}  // namespace
}  // namespace mxvideo::checkpoint
