#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <random>

#include "base/text/field.h"
#include "checkpoint/safetensors_writer.h"
#include "formats/mx_block.h"
#include "quantization/mx_offline.h"
#include "quantization/quantization_config.h"
#include "support/test_support.h"

namespace mxvideo::quantization {
namespace {

using checkpoint::QuantizationDeclaration;
using checkpoint::QuantizationSource;
using formats::ScaleLayout;
using test::expect_error;

constexpr LinearShape kShape{.out_features = 33, .in_features = 96, .bias = true};
constexpr int64_t kScales = int64_t{33} * 3;

// One layer "l" stored in MXFP8: random finite codes, scales about 1.
class OfflineLayer : public testing::Test {
 protected:
  OfflineLayer() {
    std::mt19937 engine(5);
    for (int64_t i = 0; i < codes_.count(); ++i) {
      auto code = static_cast<uint8_t>(engine());
      if ((code & 0x7f) == 0x7f) --code;
      codes()[i] = code;
    }
    for (int64_t i = 0; i < kScales; ++i) scales()[i] = static_cast<uint8_t>(110 + engine() % 20);
    for (int64_t i = 0; i < 33; ++i) bias_.f32()[i] = static_cast<float>(i) - 16;
  }

  uint8_t* codes() { return reinterpret_cast<uint8_t*>(codes_.data()); }
  uint8_t* scales() { return reinterpret_cast<uint8_t*>(scales_.data()); }

  void write(ScaleLayout layout, DType scale_dtype) {
    const formats::ScaleGrid grid{.rows = 33, .columns = 3};
    const bool swizzled = layout == ScaleLayout::kSwizzled;
    Tensor stored(scale_dtype, swizzled ? Shape{grid.padded_rows(), grid.padded_columns()}
                                        : Shape{grid.rows, grid.columns});
    auto* bytes = reinterpret_cast<uint8_t*>(stored.data());
    if (swizzled) {
      formats::swizzle_scales(grid, scales(), bytes);
    } else {
      std::memcpy(bytes, scales(), kScales);
    }
    checkpoint::write_safetensors(temporary_.path() / "model.safetensors",
                                  std::array{checkpoint::NamedTensor{"l.weight", codes_},
                                             checkpoint::NamedTensor{"l.weight_scale", stored},
                                             checkpoint::NamedTensor{"l.bias", bias_}});
    declared_.source = QuantizationSource::kModelSlim;
    declared_.origin = "description.json";
    declared_.scale_layout = layout;
    declared_.layers = {{"l", {.type = "W8A8_MXFP8", .element = formats::MxElement::kE4m3}}};
  }

  std::unique_ptr<LinearMethod> load(const QuantizationOptions& options = {}) {
    auto linear = resolve_quantization(options, declared_).config->make_linear("l", kShape, true);
    checkpoint::ParameterLoader loader;
    linear->create_weights(loader);
    loader.load(checkpoint::Checkpoint::open_directory(temporary_.path()));
    return linear;
  }

  // Packed back into files' order: the bytes that the layer multiplies with.
  void expect_stored_bytes(const LinearMethod& linear) {
    const auto& weight = dynamic_cast<const MxLinear&>(linear).weight();
    std::vector<uint8_t> got_codes(size_t{33} * 96), got_scales(kScales);
    weight.unpack(got_codes.data(), got_scales.data());
    EXPECT_EQ(std::memcmp(got_codes.data(), codes(), got_codes.size()), 0);
    EXPECT_EQ(std::memcmp(got_scales.data(), scales(), got_scales.size()), 0);
  }

  test::TemporaryDirectory temporary_;
  QuantizationDeclaration declared_;
  Tensor codes_{DType::kF8E4M3, {33, 96}};
  Tensor scales_{DType::kU8, {33, 3}};
  Tensor bias_{DType::kF32, {33}};
};

TEST_F(OfflineLayer, HoldsTheStoredBytesInEveryLayoutAndType) {
  for (const ScaleLayout layout : {ScaleLayout::kRowMajor, ScaleLayout::kSwizzled}) {
    for (const DType dtype : {DType::kU8, DType::kF8E8M0}) {
      write(layout, dtype);
      const auto linear = load();
      EXPECT_STREQ(linear->scheme(), "mxfp8");
      EXPECT_EQ(linear->reason(), "");
      expect_stored_bytes(*linear);
    }
  }
}

TEST_F(OfflineLayer, AskingForMxfp8AgainQuantizesNothingAndSaysSo) {
  write(ScaleLayout::kRowMajor, DType::kU8);
  QuantizationOptions options{.scheme = "mxfp8", .ignored_layers = {}, .mx = {}};
  expect_stored_bytes(*load(options));
  options.mx.scale_rule = formats::ScaleRule::kFloor;
  const auto notices = resolve_quantization(options, declared_).notices;
  ASSERT_EQ(notices.size(), 2u);
  EXPECT_NE(notices[0].find("quantized already, as description.json declares"), std::string::npos);
  EXPECT_NE(notices[1].find(field("mx_scale_rule") + " floor applies to activations"),
            std::string::npos);
  expect_stored_bytes(*load(options));
}

TEST_F(OfflineLayer, IgnoredLayersComputeWithTheDecodedWeight) {
  write(ScaleLayout::kSwizzled, DType::kU8);
  const auto linear = load({.scheme = "", .ignored_layers = {"l"}, .mx = {}});
  EXPECT_STREQ(linear->scheme(), "none");
  EXPECT_EQ(linear->reason(), "ignored by 'l': stored as MXFP8, computed with the decoded weight");
  EXPECT_EQ(linear->weight_bytes(), 33 * 96 * 2 + 33 * 4);
  // A unit vector as input reads one column of the weight.
  std::vector<float> x(96), y(33);
  x[70] = 1;
  kernels::Context context;
  LinearInput input(x.data(), 1, 96);
  linear->apply(input, {.y = y.data()}, context);
  for (int64_t row = 0; row < 33; ++row) {
    std::array<float, 32> block;
    formats::dequantize_mx_block(std::span<const uint8_t, 32>(codes() + row * 96 + 64, 32),
                                 scales()[row * 3 + 2], formats::MxElement::kE4m3, block);
    EXPECT_EQ(y[static_cast<size_t>(row)], block[6] + bias_.f32()[row]);
  }
}

TEST_F(OfflineLayer, DecodesToFp32WhereBf16CannotHoldAValue) {
  scales()[0] = 0;
  codes()[0] = 0x01;  // 2^-9 · 2^-127
  const Tensor weight =
      dequantize_mx_weight(codes(), scales(), {33, 96}, formats::MxElement::kE4m3);
  ASSERT_EQ(weight.dtype(), DType::kF32);
  EXPECT_EQ(weight.f32()[0], std::ldexp(1.0f, -136));
  scales()[0] = 127;
  EXPECT_EQ(dequantize_mx_weight(codes(), scales(), {33, 96}, formats::MxElement::kE4m3).dtype(),
            DType::kBF16);
}

TEST_F(OfflineLayer, RefusesNanScalesAndCodes) {
  scales()[7] = 0xff;
  scales()[8] = 0xff;
  for (const ScaleLayout layout : {ScaleLayout::kRowMajor, ScaleLayout::kSwizzled}) {
    write(layout, DType::kU8);
    const Error error = expect_error([&] { load(); });
    EXPECT_EQ(error.code(), Code::kCorruptFile);
    EXPECT_NE(std::string(error.what()).find("1 with NaN scales: l.weight_scale (2 of"),
              std::string::npos)
        << error.what();
  }
  scales()[7] = scales()[8] = 120;
  codes()[96 * 4 + 3] = 0xff;
  write(ScaleLayout::kRowMajor, DType::kU8);
  const Error error = expect_error([&] { load(); });
  EXPECT_NE(std::string(error.what()).find("l.weight: row 4 holds NaN codes (1 rows do)"),
            std::string::npos)
      << error.what();
}

TEST_F(OfflineLayer, RefusesScalesOfTheOtherLayoutWhereShapesTellThemApart) {
  write(ScaleLayout::kSwizzled, DType::kU8);
  declared_.scale_layout = ScaleLayout::kRowMajor;
  const Error error = expect_error([&] { load(); });
  EXPECT_NE(std::string(error.what()).find("l.weight_scale (expected [33, 3], got [128, 4])"),
            std::string::npos)
      << error.what();
}

// The table in quantization_config.h.
TEST_F(OfflineLayer, PrecedenceOfFlagAndDeclaration) {
  write(ScaleLayout::kRowMajor, DType::kU8);
  const auto name = [&](const char* scheme, const QuantizationDeclaration& declared) {
    return std::string(
        resolve_quantization({.scheme = scheme, .ignored_layers = {}, .mx = {}}, declared)
            .config->name());
  };
  EXPECT_EQ(name("", {}), "none");
  EXPECT_EQ(name("none", {}), "none");
  EXPECT_EQ(name("mxfp8", {}), "mxfp8");
  EXPECT_EQ(name("", declared_), "modelslim");
  EXPECT_EQ(name("mxfp8", declared_), "modelslim");
  EXPECT_EQ(name("modelslim", declared_), "modelslim");
  const auto refused = [&](const char* scheme, const QuantizationDeclaration& declared) {
    const Error error = expect_error([&] { name(scheme, declared); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return std::string(error.what());
  };
  EXPECT_NE(refused("none", declared_).find("contradicts description.json"), std::string::npos);
  EXPECT_NE(refused("modelslim", {}).find("no quant_model_description"), std::string::npos);
  declared_.source = QuantizationSource::kComfy;
  EXPECT_EQ(name("mxfp8", declared_), "comfy");
  EXPECT_NE(refused("modelslim", declared_).find("contradicts"), std::string::npos);
}

TEST_F(OfflineLayer, RefusesTypesThatNothingComputesByLayerAndType) {
  write(ScaleLayout::kRowMajor, DType::kU8);
  declared_.layers["m"] = {.type = "W4A4_MXFP4", .element = {}};
  declared_.layers["n"] = {.type = "W8A8_DYNAMIC", .element = {}};
  const Error error = expect_error([&] { load(); });
  EXPECT_EQ(error.code(), Code::kUnsupported);
  EXPECT_STREQ(error.what(),
               "description.json: expected layers of type FLOAT, W8A8_MXFP8 or W8A8_MXINT8, got "
               "W4A4_MXFP4 (1 layer: m); W8A8_DYNAMIC (1 layer: n)");
  declared_.source = QuantizationSource::kComfy;
  declared_.layers.erase("n");
  declared_.layers["m"].type = "nvfp4";
  EXPECT_STREQ(expect_error([&] { load(); }).what(),
               "description.json: expected layers of ComfyUI's format mxfp8 or not quantized, got "
               "nvfp4 (1 layer: m)");
}

TEST_F(OfflineLayer, QuantizedAttentionIsComputedInFp32WithANotice) {
  write(ScaleLayout::kRowMajor, DType::kU8);
  declared_.attention = {{"blocks.0.attn1", "FP8_DYNAMIC"}, {"blocks.1.attn1", "FP8_DYNAMIC"}};
  const auto notices = resolve_quantization({}, declared_).notices;
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("(2 x FP8_DYNAMIC); it is computed in fp32"), std::string::npos);
}

}  // namespace
}  // namespace mxvideo::quantization
