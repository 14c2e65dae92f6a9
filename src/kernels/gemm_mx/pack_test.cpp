// Packed weights: their layout, and what is known of them.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "kernels/gemm_mx/row_fixture.h"

namespace mxvideo::kernels::test {
namespace {

TEST(GemmMxPack, LayoutIsTheDocumentedOne) {
  const Problem p = Problem::random({1, 70, 96}, 19, 1, 200);
  const PackedMxWeight weight = p.packed();
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
      unpack_mx_weight(p.packed(), codes.data(), scales.data());
      ASSERT_EQ(codes, p.w_codes);
      ASSERT_EQ(scales, p.w_scales);
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
    const PackedMxWeight weight = p.packed();
    EXPECT_GE(weight.fast_noise, noise / signal) << kind;
    if (kind == "gaussian") {
      EXPECT_LE(weight.fast_noise, 2 * noise / signal);
    }
    std::cout << kind << " " << noise / signal << ", bound " << weight.fast_noise << "\n";
    for (const Compute compute : {Compute::kExact, Compute::kAuto, Compute::kFast}) {
      const bool rejects = reject_gemm_mx_fast({.x_codes = p.x_codes.data(),
                                                .x_scales = p.x_scales.data(),
                                                .weight = &weight,
                                                .m = 1,
                                                .compute = compute}) != nullptr;
      const bool quiet = weight.fast_noise <= kAutoNoise;
      EXPECT_EQ(rejects, compute == Compute::kExact || (compute == Compute::kAuto && !quiet));
    }
    EXPECT_EQ(weight.fast_noise <= kAutoNoise, kind == "gaussian" || kind == "spread scales")
        << kind;
  }
}

TEST(GemmMxChoice, NeedsNoFeaturesAndNoNoise) {
  const PackedMxWeight weight = Problem::random({1, 33, 96}, 25).packed();
  Context context;
  context.cpu = kCpuNone;
  for (const char* row : {"highway", "reference"}) {
    const GemmMxChoice choice = choose_gemm_mx(weight, context);
    EXPECT_STREQ(choice.row, row);
    EXPECT_EQ(choice.noise, 0);
    context.forced_rows["gemm_mx"] = "reference";
  }
  EXPECT_TRUE(context.choices.empty());
}

}  // namespace
}  // namespace mxvideo::kernels::test
