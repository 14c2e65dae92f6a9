// The MX block against torchao and microxcaling, against its definition in double, and against
// published vectors.
#include "formats/mx_block.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "formats/e4m3.h"
#include "formats/e8m0.h"
#include "formats/half.h"
#include "support/float_mode.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::formats {
namespace {

using test::GoldenFile;

constexpr ScaleRule kRules[] = {ScaleRule::kRceil, ScaleRule::kFloor, ScaleRule::kCeil,
                                ScaleRule::kEven};

struct Block {
  uint8_t scale = 0;
  std::array<uint8_t, kMxBlockSize> codes{};
  bool operator==(const Block&) const = default;
};

using Values = std::array<float, kMxBlockSize>;

Block quantize(const Values& values, const MxOptions& options) {
  Block block;
  block.scale = quantize_mx_block(values, options, block.codes);
  return block;
}

Values dequantize(const Block& block, MxElement element = MxElement::kE4m3) {
  Values values{};
  dequantize_mx_block(block.codes, block.scale, element, values);
  return values;
}

Values block_at(const std::vector<float>& rows, size_t index) {
  Values values{};
  std::copy_n(rows.begin() + static_cast<ptrdiff_t>(index * kMxBlockSize), kMxBlockSize,
              values.begin());
  return values;
}

uint32_t bits_of(float value) { return std::bit_cast<uint32_t>(value); }

// The rules as the header states them, with exact arithmetic in double; amax finite and above 0.
int scale_by_definition(double amax, MxElement element, ScaleRule rule) {
  const bool int8 = element == MxElement::kInt8;
  const int emax = int8 ? 0 : 8;
  const double largest = int8 ? 127.0 / 64 : 448.0;
  int exponent = std::ilogb(amax) - emax;
  switch (rule) {
    case ScaleRule::kRceil:
      exponent = -200;
      while (amax > std::ldexp(largest, exponent)) ++exponent;
      break;
    case ScaleRule::kFloor:
      break;
    case ScaleRule::kCeil:
      if (std::ldexp(1.0, std::ilogb(amax)) < amax) ++exponent;
      break;
    case ScaleRule::kEven: {
      // The element's significant bits, halves up: the carry into the next power of two is all that
      // counts.
      const double step = std::ldexp(1.0, std::ilogb(amax) - (int8 ? 6 : 3));
      exponent = std::ilogb(std::floor(amax / step + 0.5) * step) - emax;
      break;
    }
  }
  return std::clamp(exponent + 127, 0, 254);
}

TEST(ScaleByte, OfEveryBf16EqualsTorchao) {
  constexpr uint32_t kInfinity = 0x7f80;
  const GoldenFile golden("formats/scale_of_amax_bf16.safetensors");
  for (const ScaleRule rule : kRules) {
    const auto expected = golden.u8("e4m3." + std::string(scale_rule_name(rule)));
    ASSERT_EQ(expected.size(), 32768u);
    for (uint32_t i = 0; i < expected.size(); ++i) {
      if (i == kInfinity) continue;  // torchao: 254 or less, here 255 as for NaN
      ASSERT_EQ(mx_scale_byte(i << 16, MxElement::kE4m3, rule), expected[i])
          << scale_rule_name(rule) << " of bf16 " << std::hex << i;
    }
  }
}

TEST(ScaleByte, FollowsItsDefinition) {
  std::mt19937 random(1);
  std::vector<uint32_t> cases;
  for (uint32_t exponent = 0; exponent < 255; ++exponent) {
    for (const uint32_t mantissa :
         {0x0u, 0x1u, 0x5fffffu, 0x600000u, 0x600001u, 0x77ffffu, 0x780000u, 0x7dffffu, 0x7e0000u,
          0x7e0001u, 0x7effffu, 0x7f0000u, 0x7fffffu}) {
      cases.push_back(exponent << 23 | mantissa);
    }
  }
  for (int i = 0; i < 20000; ++i) cases.push_back(random() % 0x7f800000u);
  for (const uint32_t bits : cases) {
    if (bits == 0) continue;
    for (const ScaleRule rule : kRules) {
      for (const MxElement element : {MxElement::kE4m3, MxElement::kInt8}) {
        ASSERT_EQ(mx_scale_byte(bits, element, rule),
                  scale_by_definition(std::bit_cast<float>(bits), element, rule))
            << mx_format_name(element) << " " << scale_rule_name(rule) << " " << std::hex << bits;
      }
    }
  }
}

TEST(ScaleByte, Ends) {
  for (const ScaleRule rule : kRules) {
    EXPECT_EQ(mx_scale_byte(0, MxElement::kE4m3, rule), 0);
    EXPECT_EQ(mx_scale_byte(1, MxElement::kE4m3, rule), 0);
    EXPECT_EQ(mx_scale_byte(0x7f800000u, MxElement::kE4m3, rule), 255);
    EXPECT_EQ(mx_scale_byte(0x7fc00000u, MxElement::kE4m3, rule), 255);
    EXPECT_EQ(mx_scale_byte(0x7f7fffffu, MxElement::kE4m3, rule),
              rule == ScaleRule::kFloor ? 246 : 247);
    EXPECT_EQ(mx_scale_byte(0, MxElement::kInt8, rule), 0);
    EXPECT_EQ(mx_scale_byte(0x7f800000u, MxElement::kInt8, rule), 255);
    // One more would be the byte of NaN.
    EXPECT_EQ(mx_scale_byte(0x7f7fffffu, MxElement::kInt8, rule), 254);
  }
}

TEST(ScaleRule, NamesRoundTrip) {
  for (const ScaleRule rule : kRules) EXPECT_EQ(parse_scale_rule(scale_rule_name(rule)), rule);
  const Error error = test::expect_error([] { parse_scale_rule("round"); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_STREQ(error.what(), "unknown scale rule 'round'; known: rceil, floor, ceil, even");
}

// Compares all blocks whose maximum is finite or NaN; returns for how many the codes were not
// compared. They are in blocks of scale byte 0 unless all zero: torchao then divides by 1 or
// 2^-126, not by 2^-127.
int expect_blocks_of_torchao(const GoldenFile& golden, const std::string& prefix, ScaleRule rule) {
  const std::vector<float> rows = golden.f32(prefix + "input");
  const std::string name = prefix + "e4m3." + std::string(scale_rule_name(rule));
  const auto scales = golden.u8(name + ".scale");
  const auto codes = golden.u8(name + ".codes");
  EXPECT_EQ(codes.size(), rows.size());
  EXPECT_GE(scales.size(), 9u);
  int left_out = 0;
  for (size_t i = 0; i < scales.size(); ++i) {
    const Values values = block_at(rows, i);
    const bool infinite =
        std::any_of(values.begin(), values.end(), [](float value) { return std::isinf(value); });
    ++left_out;
    if (infinite) continue;
    const Block block = quantize(values, {.scale_rule = rule});
    if (bits_of(values[3]) == 0x3fe00001u && rule == ScaleRule::kRceil) {
      // 1.75 + 2^-23 does not fit into 448 · 2^-8. torchao's eager mode takes log2 in fp32, which
      // rounds to -8; its PTX instruction and this definition round up.
      EXPECT_EQ(scales[i], 119);
      EXPECT_EQ(block.scale, 120);
      continue;
    }
    EXPECT_EQ(block.scale, scales[i]) << name << " block " << i;
    const bool zero =
        std::all_of(values.begin(), values.end(), [](float value) { return value == 0; });
    if (block.scale == kE8m0Nan || (block.scale == 0 && !zero)) continue;
    --left_out;
    for (size_t j = 0; j < kMxBlockSize; ++j) {
      EXPECT_EQ(block.codes[j], codes[i * kMxBlockSize + j]) << name << " " << i << " " << j;
    }
  }
  return left_out;
}

TEST(QuantizeBlock, EqualsTorchao) {
  const GoldenFile golden("formats/blocks_torchao.safetensors");
  for (const ScaleRule rule : kRules) {
    // The one fp32 block is the exception above.
    EXPECT_EQ(expect_blocks_of_torchao(golden, "bf16.", rule), 0);
    EXPECT_EQ(expect_blocks_of_torchao(golden, "fp32.", rule), rule == ScaleRule::kRceil ? 1 : 0);
  }
}

TEST(QuantizeBlock, EqualsTorchaoOnSpecialBlocks) {
  const GoldenFile golden("formats/blocks_special_torchao.safetensors");
  for (const ScaleRule rule : kRules) {
    // NaN, two infinities, four maxima below 2^-118.
    EXPECT_EQ(expect_blocks_of_torchao(golden, "", rule), 7) << scale_rule_name(rule);
  }
}

TEST(QuantizeBlock, FloorEqualsMicroxcalingInBothRoundings) {
  const GoldenFile golden("formats/blocks_microxcaling.safetensors");
  const std::vector<float> rows = golden.f32("input");
  for (const auto& [name, element, rounding] :
       {std::tuple{"e4m3.floor.rne", MxElement::kE4m3, ElementRounding::kNearestEven},
        std::tuple{"e4m3.floor.half_away", MxElement::kE4m3, ElementRounding::kHalfAway},
        std::tuple{"int8.floor.rne", MxElement::kInt8, ElementRounding::kNearestEven},
        std::tuple{"int8.floor.half_away", MxElement::kInt8, ElementRounding::kHalfAway}}) {
    const std::vector<float> expected = golden.f32(name);
    const MxOptions options{
        .element = element, .scale_rule = ScaleRule::kFloor, .rounding = rounding};
    for (size_t i = 0; i < rows.size() / kMxBlockSize; ++i) {
      const Values values = dequantize(quantize(block_at(rows, i), options), element);
      for (size_t j = 0; j < kMxBlockSize; ++j) {
        ASSERT_EQ(values[j], expected[i * kMxBlockSize + j]) << name << " " << i << " " << j;
      }
    }
  }
}

// Block with maximum 1 (byte 119): the table of the four MXFP8 variants in the field.
TEST(QuantizeBlock, RoundingTable) {
  struct Case {
    float value;
    uint8_t even, away;
  };
  const Case cases[] = {{1.0f, 0x78, 0x78},     {1.0625f, 0x78, 0x79},  {-1.0625f, 0xf8, 0xf9},
                        {0.9375f, 0x77, 0x77},  {0.03125f, 0x50, 0x50}, {-0x1p-10f, 0xa8, 0xa8},
                        {0x1p-17f, 0x01, 0x01}, {0x1p-18f, 0x00, 0x01}, {0x3p-19f, 0x01, 0x01}};
  for (const Case& c : cases) {
    const Values values = {1.0f, c.value};
    for (const ScaleRule rule : kRules) {
      const Block even = quantize(values, {.scale_rule = rule});
      const Block away =
          quantize(values, {.scale_rule = rule, .rounding = ElementRounding::kHalfAway});
      // 1.0625 exceeds 1, so that `ceil` moves on to the next power of two.
      if (rule == ScaleRule::kCeil && std::fabs(c.value) > 1) continue;
      EXPECT_EQ(even.scale, 119);
      EXPECT_EQ(away.scale, 119);
      EXPECT_EQ(even.codes[1], c.even) << c.value;
      EXPECT_EQ(away.codes[1], c.away) << c.value;
    }
  }
}

TEST(QuantizeBlock, FloorSaturatesWhereRceilDoesNot) {
  const Values values = {1.9f, 1.75f, 1.78125f, 1.8125f, 0.1f, 0.3f};
  const Block floor = quantize(values, {.scale_rule = ScaleRule::kFloor});
  EXPECT_EQ(floor.scale, 119);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(floor.codes[i], 0x7e);
  EXPECT_EQ(floor.codes[4], 0x5d);
  EXPECT_EQ(floor.codes[5], 0x6a);
  const Block up = quantize(values, {});
  EXPECT_EQ(up.scale, 120);
  EXPECT_EQ(up.codes[0], 0x77);
  EXPECT_EQ(up.codes[1], 0x76);
  EXPECT_EQ(up.codes[3], 0x76);
  EXPECT_EQ(up.codes[4], 0x55);
  EXPECT_EQ(up.codes[5], 0x62);
  EXPECT_EQ(quantize(values, {.rounding = ElementRounding::kHalfAway}).codes[3], 0x77);

  const Values exact = {1.75f};
  EXPECT_EQ(quantize(exact, {}).scale, 119);
  EXPECT_EQ(quantize(exact, {}).codes[0], 0x7e);
  const Values large = {3.0e38f};
  EXPECT_EQ(quantize(large, {.scale_rule = ScaleRule::kFloor}).scale, 246);
  EXPECT_EQ(quantize(large, {}).scale, 247);
}

// Example of the aclnnDynamicMxQuant documentation.
TEST(QuantizeBlock, CannExample) {
  const Values values = {0, 8, 64, 512};
  const Block block = quantize(values, {.scale_rule = ScaleRule::kFloor});
  EXPECT_EQ(block.scale, 128);
  EXPECT_EQ(block.codes[0], 0);
  EXPECT_EQ(block.codes[1], 72);
  EXPECT_EQ(block.codes[2], 96);
  EXPECT_EQ(block.codes[3], 120);
}

TEST(QuantizeBlock, NanAndInfinityPoisonTheBlock) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float poison : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(),
                             std::bit_cast<float>(0xff800001u)}) {
    for (const ScaleRule rule : kRules) {
      Values values{};
      values.fill(-2.0f);
      values[31] = poison;
      const Block block = quantize(values, {.scale_rule = rule, .flush_tiny_blocks = true});
      EXPECT_EQ(block.scale, 255);
      for (const uint8_t code : block.codes) EXPECT_EQ(code, 0x7f);
      for (const float value : dequantize(block)) EXPECT_TRUE(std::isnan(value));
    }
  }
}

TEST(QuantizeBlock, ZeroBlockKeepsSigns) {
  Values values{};
  values[3] = -0.0f;
  for (const ScaleRule rule : kRules) {
    const Block block = quantize(values, {.scale_rule = rule});
    EXPECT_EQ(block.scale, 0);
    for (int i = 0; i < kMxBlockSize; ++i) EXPECT_EQ(block.codes[i], i == 3 ? 0x80 : 0);
    const Values back = dequantize(block);
    for (int i = 0; i < kMxBlockSize; ++i) EXPECT_EQ(bits_of(back[i]), bits_of(values[i]));
  }
}

TEST(QuantizeBlock, FlushesBelowTheAscendThresholdOnly) {
  const float threshold = 0x1p-118f;
  Values values = {std::nextafter(threshold, 0.0f), -0x1p-119f};
  const MxOptions flush{.scale_rule = ScaleRule::kFloor, .flush_tiny_blocks = true};
  Block block = quantize(values, flush);
  EXPECT_EQ(block.scale, 0);
  EXPECT_EQ(block.codes[0], 0);
  EXPECT_EQ(block.codes[1], 0x80);
  // Without the option the elements are encoded against 2^-127.
  EXPECT_EQ(quantize(values, {.scale_rule = ScaleRule::kFloor}).codes[1], 0xf8);
  // Other rules ignore it.
  EXPECT_EQ(quantize(values, {.flush_tiny_blocks = true}), quantize(values, {}));
  values[0] = threshold;
  block = quantize(values, flush);
  EXPECT_EQ(block.scale, 1);
  EXPECT_EQ(block.codes[0], 0x78);
}

// Every code with a scale of its own block's choosing comes back unchanged.
TEST(QuantizeBlock, RoundTripsEveryCodeAtEveryScale) {
  for (int scale = 0; scale <= 246; ++scale) {
    for (int first = 0; first < 256; first += 16) {
      Block block{.scale = static_cast<uint8_t>(scale)};
      for (int i = 0; i < 16; ++i) {
        const auto code = static_cast<uint8_t>(first + i);
        block.codes[i] = (code & 0x7f) == kE4m3Nan ? 0 : code;
      }
      block.codes[16] = kE4m3MaxCode;
      ASSERT_EQ(quantize(dequantize(block), {}), block) << scale << " " << first;
    }
  }
}

void expect_exact_products(const Block& block) {
  const Values values = dequantize(block);
  for (int i = 0; i < kMxBlockSize; ++i) {
    const double element = decode_e4m3(block.codes[i]);
    if (std::isnan(element)) {
      EXPECT_TRUE(std::isnan(values[i]));
      continue;
    }
    const double exact = std::ldexp(element, block.scale - 127);
    if (std::fabs(exact) < 0x1p128) {
      ASSERT_EQ(static_cast<double>(values[i]), exact)
          << int{block.scale} << " " << int{block.codes[i]};
    } else {
      ASSERT_EQ(std::fabs(values[i]), std::numeric_limits<float>::infinity());
    }
  }
}

TEST(DequantizeBlock, IsTheExactProductAtEveryScale) {
  for (int scale = 0; scale < 255; ++scale) {
    for (int first = 0; first < 256; first += kMxBlockSize) {
      Block block{.scale = static_cast<uint8_t>(scale)};
      for (int i = 0; i < kMxBlockSize; ++i) block.codes[i] = static_cast<uint8_t>(first + i);
      expect_exact_products(block);
      if (HasFatalFailure()) return;
    }
  }
}

// Largest error of an element: half a step of its binade, or of the subnormals.
TEST(QuantizeBlock, ErrorStaysWithinHalfAStep) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> exponent(-60, 60);
  std::normal_distribution<float> normal;
  for (int n = 0; n < 2000; ++n) {
    Values values{};
    const float magnitude = std::exp2(exponent(random));
    for (float& value : values) value = normal(random) * magnitude;
    const Block block = quantize(values, {});
    const Values back = dequantize(block);
    for (int i = 0; i < kMxBlockSize; ++i) {
      const int binade = std::max(std::ilogb(values[i]), block.scale - 127 - 6);
      ASSERT_LE(std::fabs(static_cast<double>(values[i]) - back[i]), std::ldexp(1.0, binade - 4));
    }
  }
}

TEST(QuantizeInt8Block, RoundTripsEveryCodeAtEveryScale) {
  for (int scale = 0; scale <= 254; ++scale) {
    for (int first = -127; first <= 127; first += 16) {
      Block block{.scale = static_cast<uint8_t>(scale)};
      for (int i = 0; i < 16; ++i) {
        block.codes[i] = static_cast<uint8_t>(std::min(first + i, 127));
      }
      block.codes[16] = 127;
      const Values values = dequantize(block, MxElement::kInt8);
      for (int i = 0; i < 16; ++i) {
        const double exact = std::ldexp(static_cast<int8_t>(block.codes[i]), scale - 127 - 6);
        ASSERT_EQ(static_cast<double>(values[i]), exact) << scale << " " << first + i;
      }
      ASSERT_EQ(quantize(values, {.element = MxElement::kInt8}), block) << scale << " " << first;
    }
  }
}

// By rounding in double.
void expect_nearest_int8_codes(const Values& values, ScaleRule rule, ElementRounding rounding) {
  const Block block =
      quantize(values, {.element = MxElement::kInt8, .scale_rule = rule, .rounding = rounding});
  const double step = std::ldexp(1.0, block.scale - 127 - 6);
  for (int i = 0; i < kMxBlockSize; ++i) {
    const double steps = values[i] / step;
    const double rounded = rounding == ElementRounding::kHalfAway
                               ? std::round(steps)
                               : steps - std::remainder(steps, 1.0);
    const double expected = std::clamp(rounded, -127.0, 127.0);
    ASSERT_EQ(static_cast<int8_t>(block.codes[i]), expected)
        << scale_rule_name(rule) << " " << values[i];
  }
}

TEST(QuantizeInt8Block, TakesTheNearestCode) {
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  for (int n = 0; n < 500; ++n) {
    Values values{};
    for (float& value : values) value = std::ldexp(normal(random), n % 60 - 30);
    // Ties: halves of steps, under a maximum that makes the steps 2^-6.
    if (n % 5 == 0) {
      for (int i = 0; i < kMxBlockSize; ++i) values[i] = (static_cast<float>(n + i) - 250.5f) / 256;
      values[0] = 1.5f;
    }
    for (const ScaleRule rule : kRules) {
      for (const auto rounding : {ElementRounding::kNearestEven, ElementRounding::kHalfAway}) {
        expect_nearest_int8_codes(values, rule, rounding);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(QuantizeInt8Block, NanAndInfinityPoisonTheBlock) {
  for (const float poison :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Values values{};
    values[7] = poison;
    const Block block = quantize(values, {.element = MxElement::kInt8});
    EXPECT_EQ(block.scale, 255);
    for (const float value : dequantize(block, MxElement::kInt8)) EXPECT_TRUE(std::isnan(value));
  }
}

TEST(QuantizeBlock, DoesNotDependOnFlushToZeroOrRoundingMode) {
  const GoldenFile golden("formats/blocks_torchao.safetensors");
  const std::vector<float> rows = golden.f32("fp32.input");
  const auto in_mode = [&](test::FloatMode mode, float factor) {
    const size_t count = rows.size() / kMxBlockSize;
    std::vector<Block> blocks;
    std::vector<Values> inputs;
    blocks.reserve(count);
    inputs.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      inputs.push_back(block_at(rows, i));
      for (float& value : inputs.back()) value *= factor;
    }
    const test::FloatModeScope scope(mode);
    for (const Values& values : inputs) blocks.push_back(quantize(values, {}));
    return blocks;
  };
  for (const float factor : {1.0f, 0x1p-120f, 0x1p-126f}) {
    EXPECT_EQ(in_mode(test::FloatMode::kFlushToZeroRoundUp, factor),
              in_mode(test::FloatMode::kDefault, factor));
  }
}

}  // namespace
}  // namespace mxvideo::formats
