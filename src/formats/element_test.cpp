// Codecs of single elements and scales: every code, every bf16 and fp16 bit pattern, and the fp32
// neighbours of every tie, against tables of ml_dtypes and numpy and against a search by value.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "formats/e2m1.h"
#include "formats/e4m3.h"
#include "formats/e5m2.h"
#include "formats/e8m0.h"
#include "formats/half.h"
#include "support/golden_file.h"

namespace mxvideo::formats {
namespace {

using test::GoldenFile;

constexpr ElementRounding kRoundings[] = {ElementRounding::kNearestEven,
                                          ElementRounding::kHalfAway};

struct Element {
  const char* name;
  float (*decode)(uint8_t);
  uint8_t (*encode)(float, ElementRounding);
  int sign_bit;  // position in the code
  uint8_t max_code;
  float max;
};

const Element kElements[] = {
    {"e4m3", decode_e4m3, encode_e4m3, 7, kE4m3MaxCode, kE4m3Max},
    {"e5m2", decode_e5m2, encode_e5m2, 7, kE5m2MaxCode, kE5m2Max},
    {"e2m1", decode_e2m1, encode_e2m1, 3, kE2m1MaxCode, kE2m1Max},
};

uint32_t bits_of(float value) { return std::bit_cast<uint32_t>(value); }

// Same bits, or both NaN.
bool same(float a, float b) { return bits_of(a) == bits_of(b) || (std::isnan(a) && std::isnan(b)); }

// The definition: the representable magnitude nearest to |value|; in a tie the even code or the
// larger magnitude.
uint8_t nearest_code(const Element& element, float value, ElementRounding rounding) {
  const double magnitude = std::fabs(static_cast<double>(value));
  const uint8_t sign = std::signbit(value) ? static_cast<uint8_t>(1 << element.sign_bit) : 0;
  if (magnitude >= element.max) return sign | element.max_code;
  uint8_t low = 0;
  while (element.decode(static_cast<uint8_t>(low + 1)) <= magnitude) ++low;
  const double below = magnitude - element.decode(low);
  const double above = element.decode(static_cast<uint8_t>(low + 1)) - magnitude;
  const bool tie_up = rounding == ElementRounding::kHalfAway || (low & 1) != 0;
  const bool up = above < below || (above == below && tie_up);
  return sign | static_cast<uint8_t>(low + up);
}

class ElementTest : public testing::TestWithParam<Element> {};

TEST_P(ElementTest, DecodesEveryCodeAsMlDtypes) {
  const std::vector<float> expected = GoldenFile("formats/decode.safetensors").f32(GetParam().name);
  ASSERT_EQ(expected.size(), GetParam().sign_bit == 7 ? 256u : 16u);
  for (size_t code = 0; code < expected.size(); ++code) {
    const float actual = GetParam().decode(static_cast<uint8_t>(code));
    EXPECT_TRUE(same(actual, expected[code])) << code << ": " << actual << " " << expected[code];
    EXPECT_EQ(std::signbit(actual), ((code >> GetParam().sign_bit) & 1) != 0) << code;
  }
}

TEST_P(ElementTest, EncodesEveryDecodedCodeToItself) {
  for (int code = 0; code < 2 << GetParam().sign_bit; ++code) {
    const float value = GetParam().decode(static_cast<uint8_t>(code));
    if (!std::isfinite(value)) continue;
    for (const ElementRounding rounding : kRoundings) {
      EXPECT_EQ(GetParam().encode(value, rounding), code);
    }
  }
}

TEST_P(ElementTest, EncodesEveryBf16AsMlDtypes) {
  const std::string name =
      GetParam().sign_bit == 7 ? GetParam().name : std::string(GetParam().name) + "_nan_as_zero";
  const std::vector<uint8_t> expected = GoldenFile("formats/encode_bf16.safetensors").u8(name);
  ASSERT_EQ(expected.size(), 65536u);
  for (uint32_t i = 0; i < 65536; ++i) {
    const float value = decode_bf16(static_cast<uint16_t>(i));
    const uint8_t code = GetParam().encode(value, ElementRounding::kNearestEven);
    if (!std::isnan(value)) {
      ASSERT_EQ(code, expected[i]) << value;
    } else if (GetParam().sign_bit == 7) {
      ASSERT_EQ(code, (i >> 8 & 0x80) | 0x7f) << i;
      ASSERT_TRUE(std::isnan(GetParam().decode(expected[i])));
    }
  }
}

TEST_P(ElementTest, EncodesTiesAndTheirFp32NeighboursAsMlDtypes) {
  const GoldenFile golden("formats/encode_fp32.safetensors");
  const std::vector<float> input = golden.f32("input");
  const std::vector<uint8_t> expected = golden.u8(GetParam().name);
  ASSERT_EQ(input.size(), expected.size());
  for (size_t i = 0; i < input.size(); ++i) {
    ASSERT_EQ(GetParam().encode(input[i], ElementRounding::kNearestEven), expected[i]) << input[i];
  }
}

TEST_P(ElementTest, EncodesToTheNearestValueInBothRoundings) {
  const std::vector<float> ties = GoldenFile("formats/encode_fp32.safetensors").f32("input");
  for (const ElementRounding rounding : kRoundings) {
    for (uint32_t i = 0; i < 65536; ++i) {
      const float value = decode_bf16(static_cast<uint16_t>(i));
      if (std::isnan(value)) continue;
      ASSERT_EQ(GetParam().encode(value, rounding), nearest_code(GetParam(), value, rounding))
          << value;
    }
    for (const float value : ties) {
      ASSERT_EQ(GetParam().encode(value, rounding), nearest_code(GetParam(), value, rounding))
          << value;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ElementTest, testing::ValuesIn(kElements),
                         [](const auto& test) { return test.param.name; });

TEST(E4m3, SpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ElementRounding rounding : kRoundings) {
    EXPECT_EQ(encode_e4m3(infinity, rounding), 0x7e);
    EXPECT_EQ(encode_e4m3(-infinity, rounding), 0xfe);
    EXPECT_EQ(encode_e4m3(nan, rounding), 0x7f);
    EXPECT_EQ(encode_e4m3(-nan, rounding), 0xff);
    EXPECT_EQ(encode_e4m3(-0.0f, rounding), 0x80);
    EXPECT_EQ(encode_e4m3(464.0f, rounding), 0x7e);
  }
  EXPECT_EQ(encode_e4m3(0x1p-10f, ElementRounding::kNearestEven), 0);
  EXPECT_EQ(encode_e4m3(0x1p-10f, ElementRounding::kHalfAway), 1);
  EXPECT_EQ(encode_e4m3(std::nextafter(0x1p-10f, 0.0f), ElementRounding::kHalfAway), 0);
}

// One rounding, whatever the exponent: products that an fp32 multiplication would round first or
// lose to the fp32 subnormals.
TEST(E4m3, ScaledEncodingRoundsOnce) {
  for (const ElementRounding rounding : kRoundings) {
    for (uint32_t i = 0; i < 65536; i += 7) {
      const float value = decode_bf16(static_cast<uint16_t>(i));
      if (std::isnan(value)) continue;
      for (const int exponent : {-1000, -254, -127, -9, -1, 0, 1, 8, 127, 149, 1000}) {
        const double product = std::ldexp(static_cast<double>(value), exponent);
        const auto clamped = static_cast<float>(std::clamp(product, -500.0, 500.0));
        // Below 2^-60 everything is zero, so the float stands for the double.
        const float stand_in = std::fabs(clamped) < 0x1p-60f ? std::copysign(0.0f, value) : clamped;
        ASSERT_EQ(encode_e4m3_scaled(value, exponent, rounding), encode_e4m3(stand_in, rounding))
            << value << " * 2^" << exponent;
      }
    }
  }
}

TEST(E8m0, DecodesEveryByteAsMlDtypes) {
  const std::vector<float> expected = GoldenFile("formats/decode.safetensors").f32("e8m0");
  for (int byte = 0; byte < 256; ++byte) {
    const float actual = decode_e8m0(static_cast<uint8_t>(byte));
    EXPECT_TRUE(same(actual, expected[byte])) << byte;
    if (byte == 255) continue;
    EXPECT_EQ(static_cast<double>(actual), std::ldexp(1.0, byte - 127));
  }
  EXPECT_TRUE(std::isnan(decode_e8m0(255)));
}

TEST(Half, DecodesEveryFp16AsNumpy) {
  const std::vector<float> fp16 = GoldenFile("formats/decode.safetensors").f32("fp16");
  ASSERT_EQ(fp16.size(), 65536u);
  for (uint32_t i = 0; i < 65536; ++i) {
    ASSERT_TRUE(same(decode_fp16(static_cast<uint16_t>(i)), fp16[i])) << i;
  }
}

TEST(Half, RoundTripsEveryPattern) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const float fp16 = decode_fp16(bits);
    if (std::isnan(fp16)) {
      ASSERT_TRUE(std::isnan(decode_fp16(encode_fp16(fp16)))) << i;
    } else {
      ASSERT_EQ(encode_fp16(fp16), bits);
    }
    const float bf16 = decode_bf16(bits);
    if (std::isnan(bf16)) {
      ASSERT_TRUE(std::isnan(decode_bf16(encode_bf16(bf16)))) << i;
    } else {
      ASSERT_EQ(encode_bf16(bf16), bits);
    }
  }
}

TEST(Half, EncodesTiesAndTheirFp32NeighboursAsNumpy) {
  const GoldenFile golden("formats/encode_fp32.safetensors");
  const std::vector<float> input = golden.f32("input");
  const std::vector<uint16_t> fp16 = golden.u16("fp16");
  const std::vector<uint16_t> bf16 = golden.u16("bf16");
  for (size_t i = 0; i < input.size(); ++i) {
    ASSERT_EQ(encode_fp16(input[i]), fp16[i]) << input[i];
    ASSERT_EQ(encode_bf16(input[i]), bf16[i]) << input[i];
  }
}

}  // namespace
}  // namespace mxvideo::formats
