// Linear layers that files hold in MXINT8, alone and beside MXFP8 layers.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <random>

#include "base/text/field.h"
#include "checkpoint/safetensors_writer.h"
#include "quantization/mx_offline.h"
#include "quantization/quantization_config.h"
#include "support/test_support.h"

namespace mxvideo::quantization {
namespace {

using checkpoint::QuantizationDeclaration;
using checkpoint::QuantizationSource;
using formats::MxElement;
using test::expect_error;

constexpr int64_t kRows = 33, kColumns = 96, kBlocks = kColumns / 32;
constexpr LinearShape kShape{.out_features = kRows, .in_features = kColumns, .bias = true};

// Layers "fp8" and "int8" of random codes, which are all finite numbers of both formats; those of
// INT8 go down to -128.
class MixedLayers : public testing::Test {
 protected:
  MixedLayers() {
    std::mt19937 engine(7);
    for (int64_t i = 0; i < kRows * kColumns; ++i) {
      int8()[i] = static_cast<uint8_t>(engine());
      auto code = static_cast<uint8_t>(engine());
      if ((code & 0x7f) == 0x7f) --code;
      fp8()[i] = code;
    }
    int8()[5] = 0x80;
    for (int64_t i = 0; i < kRows * kBlocks; ++i) {
      scales()[i] = static_cast<uint8_t>(120 + engine() % 12);
    }
    std::fill_n(bias_.f32(), kRows, 0.0f);
    declared_.source = QuantizationSource::kModelSlim;
    declared_.origin = "description.json";
    declared_.layers = {{"fp8", {.type = "W8A8_MXFP8", .element = MxElement::kE4m3}},
                        {"int8", {.type = "W8A8_MXINT8", .element = MxElement::kInt8}}};
  }

  uint8_t* fp8() { return reinterpret_cast<uint8_t*>(fp8_.data()); }
  uint8_t* int8() { return reinterpret_cast<uint8_t*>(int8_.data()); }
  uint8_t* scales() { return reinterpret_cast<uint8_t*>(scales_.data()); }

  using Layers = std::map<std::string, std::unique_ptr<LinearMethod>>;
  Layers load(const QuantizationOptions& options = {}) {
    checkpoint::write_safetensors(temporary_.path() / "model.safetensors",
                                  std::array{checkpoint::NamedTensor{"fp8.weight", fp8_},
                                             checkpoint::NamedTensor{"fp8.weight_scale", scales_},
                                             checkpoint::NamedTensor{"fp8.bias", bias_},
                                             checkpoint::NamedTensor{"int8.weight", int8_},
                                             checkpoint::NamedTensor{"int8.weight_scale", scales_},
                                             checkpoint::NamedTensor{"int8.bias", bias_}});
    const auto resolved = resolve_quantization(options, declared_);
    Layers layers;
    checkpoint::ParameterLoader loader;
    for (const char* name : {"fp8", "int8"}) {
      layers[name] = resolved.config->make_linear(name, kShape, true);
      layers[name]->create_weights(loader);
    }
    loader.load(checkpoint::Checkpoint::open_directory(temporary_.path()));
    return layers;
  }

  static std::vector<float> apply(const LinearMethod& layer, LinearInput& input) {
    std::vector<float> y(static_cast<size_t>(input.m() * kRows));
    kernels::Context context;
    layer.apply(input, {.y = y.data()}, context);
    return y;
  }
  static std::vector<float> unit_vectors() {
    std::vector<float> x(kColumns * kColumns);
    for (size_t i = 0; i < kColumns; ++i) x[i * kColumns + i] = 1;
    return x;
  }
  // The weight by the definition of the format.
  double value(int64_t row, int64_t column) {
    const auto code = static_cast<int8_t>(int8()[row * kColumns + column]);
    return std::ldexp(code / 64.0, scales()[row * kBlocks + column / 32] - 127);
  }

  test::TemporaryDirectory temporary_;
  QuantizationDeclaration declared_;
  Tensor fp8_{DType::kF8E4M3, {kRows, kColumns}};
  Tensor int8_{DType::kI8, {kRows, kColumns}};
  Tensor scales_{DType::kU8, {kRows, kBlocks}};
  Tensor bias_{DType::kF32, {kRows}};
};

TEST_F(MixedLayers, EachIsOfItsFormatAndHoldsTheStoredBytes) {
  const Layers layers = load();
  EXPECT_STREQ(layers.at("fp8")->scheme(), "mxfp8");
  EXPECT_STREQ(layers.at("int8")->scheme(), "mxint8");
  const auto& weight = dynamic_cast<const MxLinear&>(*layers.at("int8")).weight();
  EXPECT_EQ(weight.element, MxElement::kInt8);
  std::vector<uint8_t> codes(kRows * kColumns), stored_scales(kRows * kBlocks);
  weight.unpack(codes.data(), stored_scales.data());
  EXPECT_EQ(std::memcmp(codes.data(), int8(), codes.size()), 0);
  EXPECT_EQ(std::memcmp(stored_scales.data(), scales(), stored_scales.size()), 0);
}

// With the row that this machine would take, -128 included.
TEST_F(MixedLayers, EveryCodeIsMultipliedExactly) {
  const Layers layers = load();
  const std::vector<float> x = unit_vectors();
  LinearInput input(x.data(), kColumns, kColumns);
  const std::vector<float> y = apply(*layers.at("int8"), input);
  for (int64_t i = 0; i < kColumns; ++i) {
    for (int64_t row = 0; row < kRows; ++row) {
      ASSERT_EQ(y[static_cast<size_t>(i * kRows + row)], value(row, i)) << row << " " << i;
    }
  }
}

// The largest sum of products that a block can have.
TEST_F(MixedLayers, SumsOfTheLargestMagnitudesAreExact) {
  std::fill_n(int8(), kRows * kColumns, uint8_t{0x80});
  std::fill_n(scales(), kRows * kBlocks, uint8_t{127});
  const Layers layers = load();
  for (const float sign : {1.0f, -1.0f}) {
    const std::vector<float> x(3 * kColumns, sign * 127 / 64);
    LinearInput input(x.data(), 3, kColumns);
    for (const float y : apply(*layers.at("int8"), input)) {
      ASSERT_EQ(y, sign * -2.0f * kColumns * 127 / 64);
    }
  }
}

TEST_F(MixedLayers, OneInputServesBothFormats) {
  const Layers layers = load();
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(5 * kColumns);
  for (float& element : x) element = normal(engine);
  kernels::Context context;
  Tensor memory = context.tensor({layers.at("int8")->quantized_input_bytes(5)}, DType::kU8);
  const auto alone = [&](const char* name) {
    LinearInput input(x.data(), 5, kColumns);
    return apply(*layers.at(name), input);
  };
  LinearInput shared(x.data(), 5, kColumns, &memory);
  for (const char* name : {"fp8", "int8", "int8", "fp8"}) {
    EXPECT_EQ(apply(*layers.at(name), shared), alone(name)) << name;
  }
}

TEST_F(MixedLayers, IgnoredLayersComputeWithTheDecodedWeight) {
  const Layers layers = load({.scheme = "", .ignored_layers = {"int8"}, .mx = {}});
  EXPECT_STREQ(layers.at("int8")->scheme(), "none");
  EXPECT_EQ(layers.at("int8")->reason(),
            "ignored by 'int8': stored as MXINT8, computed with the decoded weight");
  EXPECT_EQ(layers.at("int8")->weight_bytes(), kRows * kColumns * 2 + kRows * 4);  // BF16 holds all
  const std::vector<float> x = unit_vectors();
  LinearInput input(x.data(), kColumns, kColumns);
  const std::vector<float> y = apply(*layers.at("int8"), input);
  for (int64_t i = 0; i < kColumns; ++i) {
    for (int64_t row = 0; row < kRows; ++row) {
      ASSERT_EQ(y[static_cast<size_t>(i * kRows + row)], value(row, i)) << row << " " << i;
    }
  }
}

TEST_F(MixedLayers, CodesOfTheOtherTypeAreRefusedByLayer) {
  declared_.layers.at("fp8") = {.type = "W8A8_MXINT8", .element = MxElement::kInt8};
  declared_.layers.at("int8") = {.type = "W8A8_MXFP8", .element = MxElement::kE4m3};
  const Error error = expect_error([&] { load(); });
  EXPECT_EQ(error.code(), Code::kCorruptFile);
  EXPECT_NE(std::string(error.what())
                .find("2 of wrong dtype: fp8.weight (expected I8, got "
                      "F8_E4M3), int8.weight (expected F8_E4M3, got I8)"),
            std::string::npos)
      << error.what();
}

// The rows mxfp8 and mxint8 of the table in quantization_config.h.
TEST_F(MixedLayers, TheFlagMustNameTheFormatOfEveryLayer) {
  const auto resolve = [&](const char* scheme) {
    return resolve_quantization({.scheme = scheme, .ignored_layers = {}, .mx = {}}, declared_);
  };
  const auto refused = [&](const char* scheme) {
    const Error error = expect_error([&] { resolve(scheme); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return std::string(error.what());
  };
  EXPECT_EQ(refused("mxfp8"),
            field("quantization") +
                " mxfp8 contradicts description.json, by which the weights are MXINT8 "
                "already (int8); leave it out, or quantize the original weights");
  EXPECT_EQ(refused("mxint8"),
            field("quantization") +
                " mxint8 contradicts description.json, by which the weights are MXFP8 "
                "already (fp8); leave it out, or quantize the original weights");
  EXPECT_EQ(resolve("").config->name(), "modelslim");
  EXPECT_TRUE(resolve("").notices.empty());
  declared_.layers.erase("fp8");
  refused("mxfp8");
  const auto same = resolve("mxint8");
  EXPECT_EQ(same.config->name(), "modelslim");
  ASSERT_EQ(same.notices.size(), 1u);
  EXPECT_NE(same.notices[0].find(field("quantization") + " mxint8 quantizes nothing again"),
            std::string::npos);
}

}  // namespace
}  // namespace mxvideo::quantization
