#include "convert/quantization/quantization_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "convert/convert_test_support.h"
#include "convert/quantization/row_quantizer.h"
#include "formats/e4m3.h"
#include "formats/e8m0.h"

namespace mxvideo::convert {
namespace {

struct Quantized {
  std::vector<uint8_t> codes, scales;
  LayerReport report;
};

Quantized quantize(const std::vector<float>& values, int64_t rows, const formats::MxOptions& mx) {
  Quantized result{.codes = std::vector<uint8_t>(values.size()),
                   .scales = std::vector<uint8_t>(values.size() / 32),
                   .report = {}};
  result.report.layer = "layer";
  const auto columns = static_cast<int64_t>(values.size()) / rows;
  quantize_and_measure({.stored = {.data = reinterpret_cast<const std::byte*>(values.data()),
                                   .dtype = DType::kF32,
                                   .shape = {rows, columns}},
                        .codes = result.codes.data(),
                        .scales = result.scales.data()},
                       mx, result.report);
  return result;
}

// A block of amax 1.9 under the floor rule: scale 2^-8, where 1.75 is the largest code (formats of
// numbers: OCP MX). 1.8125 and 1.9 saturate; 2^-20 is below half of the smallest code, 2^-17.
TEST(QuantizationReport, CountsOfOneBlock) {
  std::vector<float> values(32, 0.0f);
  values[0] = 1.9f;
  values[1] = -1.8125f;
  values[2] = 1.75f;
  values[3] = 0x1p-20f;
  const LayerReport report = quantize(values, 1, {.scale_rule = formats::ScaleRule::kFloor}).report;
  EXPECT_EQ(report.saturated, 2);
  EXPECT_EQ(report.flushed, 1);
  EXPECT_FLOAT_EQ(static_cast<float>(report.amax), 1.9f);
  EXPECT_NEAR(report.max_relative_error, (1.9 - 1.75) / 1.9, 1e-7);
  EXPECT_NEAR(report.noise, 0.15 * 0.15 + 0.0625 * 0.0625 + std::ldexp(1.0, -40), 1e-6);
  EXPECT_NEAR(report.signal, 1.9 * 1.9 + 1.8125 * 1.8125 + 1.75 * 1.75, 1e-5);
  EXPECT_EQ(report.scale_exponents, (std::map<int, int64_t>{{-8, 1}}));
}

// INT8 under the floor rule: scale 1, where 127/64 = 1.984375 is the largest code and 1/128 half of
// the smallest.
TEST(QuantizationReport, CountsOfOneBlockOfInt8) {
  std::vector<float> values(32, 0.0f);
  values[0] = 1.9921875f;
  values[1] = -1.9921875f;
  values[2] = 1.984375f;
  values[3] = 0x1p-8f;
  const LayerReport report =
      quantize(values, 1,
               {.element = formats::MxElement::kInt8, .scale_rule = formats::ScaleRule::kFloor})
          .report;
  EXPECT_EQ(report.saturated, 2);
  EXPECT_EQ(report.flushed, 1);
  EXPECT_EQ(report.amax, 1.9921875);
  EXPECT_NEAR(report.max_relative_error, 0x1p-7 / 1.9921875, 1e-9);
  EXPECT_NEAR(report.noise, 2 * 0x1p-14 + 0x1p-16, 1e-12);
  EXPECT_EQ(report.scale_exponents, (std::map<int, int64_t>{{0, 1}}));
}

TEST(QuantizationReport, MatchesADoubleReference) {
  constexpr int64_t kRows = 37, kColumns = 96;
  std::vector<float> values;
  uint32_t state = 1;
  for (int64_t i = 0; i < kRows * kColumns; ++i) {
    state = state * 1664525u + 1013904223u;
    const int exponent = static_cast<int>(state >> 28) - 8;
    values.push_back(
        std::ldexp(static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f, exponent));
  }
  const Quantized quantized = quantize(values, kRows, {});
  const LayerReport& report = quantized.report;
  double signal = 0, noise = 0, worst = 0;
  int64_t flushed = 0;
  for (size_t block = 0; block < quantized.scales.size(); ++block) {
    double amax = 0, error = 0;
    for (size_t i = block * 32; i < block * 32 + 32; ++i) {
      const double x = values[i];
      const double q = static_cast<double>(formats::decode_e4m3(quantized.codes[i])) *
                       static_cast<double>(formats::decode_e8m0(quantized.scales[block]));
      signal += x * x;
      noise += (x - q) * (x - q);
      amax = std::max(amax, std::abs(x));
      error = std::max(error, std::abs(x - q));
      flushed += x != 0 && q == 0;
    }
    worst = std::max(worst, error / amax);
  }
  // Four fp32 terms per lane of a block, each rounded once and summed in fp32.
  EXPECT_NEAR(report.signal, signal, signal * 5 * 0x1p-24);
  EXPECT_NEAR(report.noise, noise, noise * 1e-6);
  EXPECT_NEAR(report.max_relative_error, worst, 1e-6);
  EXPECT_EQ(report.flushed, flushed);
  EXPECT_EQ(report.saturated, 0);
  EXPECT_GT(report.sqnr_db(), 20);
  EXPECT_LT(report.sqnr_db(), 45);
}

TEST(QuantizationReport, SameBitsForAnyThreadCount) {
  std::vector<float> values(size_t{64} * 320);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  std::vector<std::string> texts;
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    texts.push_back(to_json(quantize(values, 64, {}).report).dump());
  }
  set_num_threads(2);
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_EQ(texts[0], texts[2]);
}

TEST(QuantizationReport, SurvivesJson) {
  std::vector<float> values(64, 0.3f);
  const LayerReport report = quantize(values, 2, {}).report;
  EXPECT_EQ(to_json(layer_report_from_json(to_json(report), "test")).dump(),
            to_json(report).dump());
  test::expect_error_with(Code::kCorruptFile, "no layer report", [] {
    layer_report_from_json({{"layer", 1}}, "note");
  });
}

TEST(QuantizationReport, ExactLayersHaveInfiniteSqnr) {
  std::vector<float> values(32, 1.0f);
  const LayerReport report = quantize(values, 1, {}).report;
  EXPECT_TRUE(std::isinf(report.sqnr_db()));
  EXPECT_TRUE(to_json(report)["sqnr_db"].is_null());
  check_min_sqnr({report}, 1000);
}

TEST(QuantizationReport, ThresholdNamesTheLayers) {
  std::vector<float> values(32, 0.3f);
  const LayerReport report = quantize(values, 1, {}).report;
  check_min_sqnr({report}, 10);
  test::expect_error_with(Code::kMismatch, "1 of 1 layer has an SQNR below 90 dB: layer (",
                          [&] { check_min_sqnr({report}, 90); });
}

}  // namespace
}  // namespace mxvideo::convert
