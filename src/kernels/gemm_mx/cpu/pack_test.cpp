// Packed weights: their layout, and what is known of them.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "kernels/gemm_mx/cpu/panel.h"
#include "kernels/gemm_mx/row_fixture.h"
#include "support/highway_targets.h"

namespace mxvideo::kernels::test {
namespace {

TEST(GemmMxPack, LayoutIsTheDocumentedOne) {
  const Problem p = Problem::random({1, 70, 96}, 19, 1, 200);
  const MxPanels weight = p.packed();
  const auto* codes = reinterpret_cast<const uint8_t*>(weight.codes.data());
  const auto* scales = reinterpret_cast<const uint8_t*>(weight.scales.data());
  ASSERT_EQ(weight.codes.bytes(), 96 * 96);
  ASSERT_EQ(weight.scales.bytes(), 96 * 3);
  for (int64_t j = 0; j < 96; ++j) {
    for (int64_t t = 0; t < 96; ++t) {
      const uint8_t expected = j < 70 ? p.w_codes[static_cast<size_t>(j * 96 + t)] : 0;
      ASSERT_EQ(codes[(j / 32 * 96 + t) * 32 + j % 32], expected);
    }
    for (int64_t b = 0; b < 3; ++b) {
      const uint8_t expected = j < 70 ? p.w_scales[static_cast<size_t>(j * 3 + b)] : 0;
      ASSERT_EQ(scales[(j / 32 * 3 + b) * 32 + j % 32], expected);
    }
  }
  EXPECT_EQ(weight.max_scale, *std::max_element(p.w_scales.begin(), p.w_scales.end()));
}

TEST(GemmMxPack, UnpackIsTheInverse) {
  for (const int64_t n : {1, 31, 32, 33, 64, 100}) {
    for (const int64_t k : {32, 96, 320}) {
      const Problem p = Problem::random({1, n, k}, 20, 0, 254);
      std::vector<uint8_t> codes(p.w_codes.size());
      std::vector<uint8_t> scales(p.w_scales.size());
      p.packed().unpack(codes.data(), scales.data());
      ASSERT_EQ(codes, p.w_codes);
      ASSERT_EQ(scales, p.w_scales);
    }
  }
}

// A block of zeros but for one code.
void expect_documented_survey(formats::MxElement element, int code, uint8_t scale) {
  const bool int8 = element == formats::MxElement::kInt8;
  std::vector<uint8_t> codes(kBlock, 0), scales = {scale};
  codes[static_cast<size_t>(code) % kBlock] = static_cast<uint8_t>(code);
  const auto survey = survey_blocks_reference(codes.data(), scales.data(), 1, element);
  const double value = int8 ? 0 : std::abs(e4m3_value(static_cast<uint8_t>(code)));
  double distance = 0;
  if (value != 0) distance = value < 8 ? 2 : std::abs(std::round(value / 4) * 4 - value);
  double lower = 0;
  if (value >= 64) {
    lower = std::exp2(std::floor(std::log2(value)));
    if (value >= 1.5 * lower) lower *= 1.5;
  }
  EXPECT_EQ(survey.fast_noise, std::pow(distance * e8m0_value(scale), 2)) << code;
  EXPECT_EQ(survey.signal, std::pow(lower * e8m0_value(scale), 2)) << code;
  EXPECT_EQ(survey.max_scale, scale);
  const bool filled = (int8 ? code != 0 : value >= 64) && scale >= 32 && scale <= 220;
  EXPECT_EQ(survey.fills_scales, filled || (code & (int8 ? 0xff : 0x7f)) == 0) << code;
}

// Every code, so that each sum has terms of its own, under scales at the limits.
TEST(GemmMxPack, SurveyIsTheDocumentedOne) {
  for (int code = 0; code < 256; ++code) {
    for (const uint8_t scale : {0, 31, 32, 126, 220, 221, 254}) {
      expect_documented_survey(formats::MxElement::kInt8, code, scale);
      const bool nan = (code & 0x7f) == 0x7f;
      if (!nan) expect_documented_survey(formats::MxElement::kE4m3, code, scale);
    }
  }
}

// 32 rows of weights.
void expect_same_on_every_target(const Problem& p, int64_t blocks, formats::MxElement element) {
  const auto expected =
      survey_blocks_reference(p.w_codes.data(), p.w_scales.data(), 32 * blocks, element);
  mxvideo::test::for_each_highway_target([&](const char* target) {
    const auto survey = survey_blocks(p.w_codes.data(), p.w_scales.data(), 32 * blocks, element);
    EXPECT_EQ(survey.fast_noise, expected.fast_noise) << target << " " << blocks;
    EXPECT_EQ(survey.signal, expected.signal) << target << " " << blocks;
    EXPECT_EQ(survey.max_scale, expected.max_scale) << target;
    EXPECT_EQ(survey.fills_scales, expected.fills_scales) << target;
    const MxPanels weight =
        pack_mx_panels(p.w_codes.data(), p.w_scales.data(), 32, blocks * kBlock, element);
    std::vector<uint8_t> codes(p.w_codes.size()), scales(p.w_scales.size());
    weight.unpack(codes.data(), scales.data());
    EXPECT_EQ(codes, p.w_codes) << target << " " << blocks;
    EXPECT_EQ(scales, p.w_scales) << target << " " << blocks;
  });
}

TEST(GemmMxPack, EveryInstructionSetGivesTheSameSurveyAndLayout) {
  for (const auto element : {formats::MxElement::kE4m3, formats::MxElement::kInt8}) {
    for (const int64_t blocks : {1, 2, 3, 7, 200}) {
      for (const auto& [smallest, largest] : {std::pair{0, 254}, {32, 220}}) {
        const Problem p = Problem::random({1, 32, blocks * kBlock}, 41, smallest, largest);
        expect_same_on_every_target(p, blocks, element);
      }
    }
  }
}

// fast_noise against its definition, and what it decides.
TEST(GemmMxFast, NoiseIsBoundedFromTheWeights) {
  constexpr int64_t kFeatures = 40, kWidth = 512;
  for (const std::string kind : {"gaussian", "heavy tails", "outlier channels", "spread scales"}) {
    Problem p({1, kFeatures, kWidth});
    const std::vector<float> w = characteristic_floats(kind, kFeatures, kWidth, 33);
    double noise = 0, signal = 0;
    for (size_t i = 0; i < p.w_scales.size(); ++i) {
      p.w_scales[i] = formats::quantize_mx_block(
          std::span<const float, kBlock>(w.data() + i * kBlock, kBlock), {},
          std::span<uint8_t, kBlock>(p.w_codes.data() + i * kBlock, kBlock));
      for (size_t t = i * kBlock; t < (i + 1) * kBlock; ++t) {
        const double element = e4m3_value(p.w_codes[t]), scale = e8m0_value(p.w_scales[i]);
        noise += std::pow((std::round(element / 4) * 4 - element) * scale, 2);
        signal += std::pow(element * scale, 2);
      }
    }
    const MxPanels weight = p.packed();
    EXPECT_GE(weight.fast_noise, noise / signal) << kind;
    if (kind == "gaussian") {
      EXPECT_LE(weight.fast_noise, 2 * noise / signal);
    }
    std::cout << kind << " " << noise / signal << ", bound " << weight.fast_noise << "\n";
    for (const Compute compute : {Compute::kExact, Compute::kAuto, Compute::kFast}) {
      const bool rejects =
          reject_gemm_mx_fast({.weight = &weight, .m = 1}, {.compute = compute}) != nullptr;
      const bool quiet = weight.fast_noise <= kAutoNoise;
      EXPECT_EQ(rejects, compute == Compute::kExact || (compute == Compute::kAuto && !quiet));
    }
    EXPECT_EQ(weight.fast_noise <= kAutoNoise, kind == "gaussian" || kind == "spread scales")
        << kind;
  }
}

TEST(GemmMxChoice, NeedsNoFeaturesAndNoNoise) {
  const MxPanels weight = Problem::random({1, 33, 96}, 25).packed();
  Context context;
  context.cpu = kCpuNone;
  for (const char* row : {"highway", "reference"}) {
    const GemmMxChoice choice = choose_gemm_mx(weight, context);
    EXPECT_STREQ(choice.row, row);
    EXPECT_EQ(choice.noise, 0);
    context.policy.forced_rows["gemm_mx"] = "reference";
  }
  EXPECT_TRUE(context.choices().empty());
}

}  // namespace
}  // namespace mxvideo::kernels::test
