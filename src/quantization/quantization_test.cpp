#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/text/glob.h"
#include "checkpoint/safetensors_writer.h"
#include "formats/e4m3.h"
#include "formats/e8m0.h"
#include "quantization/mx_linear.h"
#include "quantization/quantization_config.h"
#include "support/test_support.h"

namespace mxvideo::quantization {
namespace {

constexpr LinearShape kShape{.out_features = 33, .in_features = 96};

Tensor random_tensor(const Shape& shape, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  Tensor tensor(DType::kF32, shape);
  for (int64_t i = 0; i < tensor.count(); ++i) tensor.f32()[i] = normal(engine);
  return tensor;
}

// A checkpoint of one layer, "l", on disk.
class OneLayer : public testing::Test {
 protected:
  void write(const Tensor& weight, const Tensor& bias) {
    const std::array tensors = {checkpoint::NamedTensor{"l.weight", weight.view()},
                                checkpoint::NamedTensor{"l.bias", bias.view()}};
    checkpoint::write_safetensors(temporary_.path() / "model.safetensors", tensors);
  }

  std::unique_ptr<LinearMethod> load(const QuantizationOptions& options, bool quantizable = true) {
    auto linear = make_quantization_config(options)->make_linear("l", kShape, quantizable);
    checkpoint::ParameterLoader loader;
    linear->create_weights(loader);
    loader.load(checkpoint::Checkpoint::open_directory(temporary_.path()));
    return linear;
  }

  std::vector<float> apply(const LinearMethod& linear, const Tensor& x) {
    LinearInput input(x.f32(), x.dim(0), x.dim(1));
    std::vector<float> y(static_cast<size_t>(x.dim(0) * kShape.out_features));
    linear.apply(input, {.y = y.data()}, context_);
    return y;
  }

  test::TemporaryDirectory temporary_;
  kernels::Context context_;
  Tensor weight_ = random_tensor({33, 96}, 1);
  Tensor bias_ = random_tensor({33}, 2);
};

// Σ x w + b in double over arbitrary element accessors.
template <class X, class W>
double dot(const X& x, const W& w, double bias) {
  double sum = bias;
  for (int64_t k = 0; k < kShape.in_features; ++k) sum += x(k) * w(k);
  return sum;
}

TEST_F(OneLayer, NoneMultipliesTheStoredWeights) {
  write(weight_, bias_);
  const auto linear = load({});
  EXPECT_STREQ(linear->scheme(), "none");
  EXPECT_EQ(linear->reason(), "");
  EXPECT_EQ(linear->weight_bytes(), (33 * 96 + 33) * 4);
  EXPECT_EQ(linear->checkpoint_bytes(), (33 * 96 + 33) * 4);
  const Tensor x = random_tensor({5, 96}, 3);
  const std::vector<float> y = apply(*linear, x);
  for (int64_t i = 0; i < int64_t{5} * 33; ++i) {
    const float* row = x.f32() + i / 33 * 96;
    const float* weights = weight_.f32() + i % 33 * 96;
    const double expected = dot([&](int64_t k) { return double{row[k]}; },
                                [&](int64_t k) { return double{weights[k]}; }, bias_.f32()[i % 33]);
    EXPECT_NEAR(y[static_cast<size_t>(i)], expected, 1e-4);
  }
}

// Rows through an MX format and back, block by block, by its definition.
struct RoundTrip {
  std::vector<double> values;
  std::vector<double> moves;  // how far a kernel may move each value: kernels/gemm_mx
};

RoundTrip round_trip(const float* row, const formats::MxOptions& mx) {
  RoundTrip result;
  for (int64_t block = 0; block < 3; ++block) {
    std::array<uint8_t, 32> codes;
    std::array<float, 32> decoded;
    const uint8_t scale =
        formats::quantize_mx_block(std::span<const float, 32>(row + block * 32, 32), mx, codes);
    formats::dequantize_mx_block(codes, scale, mx.element, decoded);
    result.values.insert(result.values.end(), decoded.begin(), decoded.end());
    const bool moves = mx.element == formats::MxElement::kE4m3;
    result.moves.insert(result.moves.end(), 32, moves ? std::ldexp(1.0, scale - 127 - 5) : 0);
  }
  return result;
}

// The definition of the schemes, from the scalar formats: both operands quantized, products summed.
TEST_F(OneLayer, MxSchemesMultiplyWhatTheFormatsDefine) {
  context_.policy.compute = kernels::Compute::kExact;
  write(weight_, bias_);
  for (const auto& [scheme, rule] : {std::pair{"mxfp8", formats::ScaleRule::kRceil},
                                     {"mxfp8", formats::ScaleRule::kFloor},
                                     {"mxint8", formats::ScaleRule::kRceil},
                                     {"mxint8", formats::ScaleRule::kFloor}}) {
    const QuantizationOptions options{
        .scheme = scheme, .ignored_layers = {}, .mx = {.scale_rule = rule}};
    const auto linear = load(options);
    EXPECT_STREQ(linear->scheme(), scheme);
    formats::MxOptions mx = options.mx;
    if (options.scheme == "mxint8") mx.element = formats::MxElement::kInt8;
    const Tensor x = random_tensor({4, 96}, 3);
    const std::vector<float> y = apply(*linear, x);
    for (int64_t i = 0; i < int64_t{4} * 33; ++i) {
      const RoundTrip row = round_trip(x.f32() + i / 33 * 96, mx);
      const RoundTrip weights = round_trip(weight_.f32() + i % 33 * 96, mx);
      double expected = bias_.f32()[i % 33], magnitude = 0, moves = 0;
      for (size_t k = 0; k < 96; ++k) {
        const double a = row.values[k], b = weights.values[k];
        expected += a * b;
        magnitude += std::abs(a * b);
        moves += row.moves[k] * std::abs(b) + weights.moves[k] * std::abs(a) +
                 row.moves[k] * weights.moves[k];
      }
      EXPECT_NEAR(y[static_cast<size_t>(i)], expected,
                  2 * (96 + 8) * 0x1p-24 * magnitude + moves + 1e-6)
          << scheme;
    }
  }
}

TEST_F(OneLayer, OneInputIsQuantizedOnceForAllItsConsumers) {
  write(weight_, bias_);
  const auto q = load({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
  const auto k = load({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
  const auto plain = load({});
  const Tensor x = random_tensor({5, 96}, 3);
  LinearInput input(x.f32(), 5, 96);
  std::vector<float> y(size_t{5} * 33);
  for (const LinearMethod* linear : {q.get(), plain.get(), k.get()}) {
    linear->apply(input, {.y = y.data()}, context_);
  }
  int64_t quantizations = 0;
  int64_t products = 0;
  for (const auto& [choice, calls] : context_.choices()) {
    if (choice.first == "quantize_mx") quantizations += calls;
    if (choice.first == "gemm_mx") products += calls;
  }
  EXPECT_EQ(quantizations, 1);
  EXPECT_EQ(products, 2);
}

// Whichever form a layer asks for first, each one gets the values of the norm.
TEST_F(OneLayer, NormedInputGivesEveryLayerTheValuesOfTheNorm) {
  write(weight_, bias_);
  const auto quantized = load({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
  const auto plain = load({});
  const Tensor x = random_tensor({5, 96}, 3);
  Tensor stored(DType::kF32, {5, 96});
  kernels::LayerNormArgs norm{.x = x.f32(), .y = stored.f32(), .rows = 5, .dim = 96};
  kernels::layer_norm(norm, context_);
  for (const auto& order :
       {std::pair(quantized.get(), plain.get()), {plain.get(), quantized.get()}}) {
    Tensor lazy = Tensor::zeros({5, 96});
    norm.y = lazy.f32();
    Tensor memory(DType::kU8, {5 * 96 + 5 * 3});
    LinearInput input(norm, &memory);
    for (const LinearMethod* linear : {order.first, order.second}) {
      std::vector<float> y(size_t{5} * 33);
      linear->apply(input, {.y = y.data()}, context_);
      EXPECT_EQ(y, apply(*linear, stored)) << linear->scheme();
    }
  }
}

// What one layer makes of its input for another: each combination of schemes computes what it does
// when the rows between them are stored.
TEST_F(OneLayer, ResultOfALayerIsTheInputOfAnother) {
  const LinearShape first_shape = {.out_features = 64, .in_features = 96};
  const LinearShape second_shape = {.out_features = 7, .in_features = 64};
  const Tensor a = random_tensor({64, 96}, 4), a_bias = random_tensor({64}, 5);
  const Tensor b = random_tensor({7, 64}, 6), b_bias = random_tensor({7}, 7);
  const std::array tensors = {checkpoint::NamedTensor{"a.weight", a.view()},
                              checkpoint::NamedTensor{"a.bias", a_bias.view()},
                              checkpoint::NamedTensor{"b.weight", b.view()},
                              checkpoint::NamedTensor{"b.bias", b_bias.view()}};
  checkpoint::write_safetensors(temporary_.path() / "model.safetensors", tensors);
  const auto make = [](const char* scheme, const char* name, const LinearShape& shape) {
    return make_quantization_config({.scheme = scheme, .ignored_layers = {}, .mx = {}})
        ->make_linear(name, shape, /*quantizable=*/true);
  };
  const Tensor x = random_tensor({5, 96}, 3);
  for (const char* first_scheme : {"none", "mxfp8", "mxint8"}) {
    for (const char* second_scheme : {"none", "mxfp8", "mxint8"}) {
      checkpoint::ParameterLoader loader;
      const auto first = make(first_scheme, "a", first_shape);
      const auto second = make(second_scheme, "b", second_shape);
      first->create_weights(loader);
      second->create_weights(loader);
      loader.load(checkpoint::Checkpoint::open_directory(temporary_.path()));
      const auto gelu = kernels::Epilogue::kGeluTanh;
      std::vector<float> between(size_t{5} * 64), expected(size_t{5} * 7), y(expected.size());
      LinearInput input(x.f32(), 5, 96);
      first->apply(input, {.y = between.data(), .epilogue = {.kind = gelu}}, context_);
      LinearInput stored(between.data(), 5, 64);
      second->apply(stored, {.y = expected.data()}, context_);
      std::vector<float> memory(between.size());
      LinearInput lazy(LinearResult{
          .layer = first.get(), .input = &input, .epilogue = gelu, .y = memory.data()});
      for (const LinearMethod* linear : {second.get(), second.get()}) {
        linear->apply(lazy, {.y = y.data()}, context_);
        EXPECT_EQ(y, expected) << first_scheme << " then " << second_scheme;
      }
      // After either form the floats are still to be had.
      const float* rows = lazy.x(context_);
      EXPECT_EQ(std::vector(rows, rows + between.size()), between);
      second->apply(lazy, {.y = y.data()}, context_);
      EXPECT_EQ(y, expected) << first_scheme << " then " << second_scheme;
    }
  }
}

TEST_F(OneLayer, WeightsAreQuantizedByTheRowThatTheRunForces) {
  write(weight_, bias_);
  for (const char* row : {"highway", "reference"}) {
    kernels::Context context({.forced_rows = {{"quantize_mx", row}}});
    const auto layer = make_quantization_config({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}})
                           ->make_linear("l", kShape, /*quantizable=*/true);
    checkpoint::ParameterLoader loader;
    layer->create_weights(loader);
    loader.load(checkpoint::Checkpoint::open_directory(temporary_.path()), context);
    EXPECT_EQ((context.choices()[{"quantize_mx", row}]), 1);
    EXPECT_EQ(context.choices().size(), 1u);
  }
}

TEST_F(OneLayer, Mxfp8RefusesWeightsThatAreNotFinite) {
  weight_.f32()[96 * 7 + 40] = std::numeric_limits<float>::infinity();
  write(weight_, bias_);
  const Error error =
      test::expect_error([&] { load({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}}); });
  EXPECT_EQ(error.code(), Code::kCorruptFile);
  EXPECT_NE(std::string(error.what()).find("l.weight: row 7"), std::string::npos) << error.what();
}

TEST_F(OneLayer, LayersLeftOutSayWhy) {
  write(weight_, bias_);
  const auto policy = load({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}}, false);
  EXPECT_STREQ(policy->scheme(), "none");
  EXPECT_EQ(policy->reason(), "kept in high precision by policy");
  const auto ignored = load({.scheme = "mxfp8", .ignored_layers = {"x", "?"}, .mx = {}});
  EXPECT_STREQ(ignored->scheme(), "none");
  EXPECT_EQ(ignored->reason(), "ignored by '?'");
}

TEST(QuantizationConfig, RefusesWhatItCannotDo) {
  const auto code = [](const QuantizationOptions& options, const LinearShape& shape) {
    return test::expect_error(
               [&] { make_quantization_config(options)->make_linear("l", shape, true); })
        .code();
  };
  EXPECT_EQ(code({.scheme = "mxfp9", .ignored_layers = {}, .mx = {}}, kShape),
            Code::kInvalidArgument);
  EXPECT_EQ(code({.scheme = "none", .ignored_layers = {"*"}, .mx = {}}, kShape),
            Code::kInvalidArgument);
  EXPECT_EQ(code({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}},
                 {.out_features = 4, .in_features = 100}),
            Code::kUnsupported);
}

TEST(Glob, MatchesLikeAShell) {
  EXPECT_TRUE(glob_match("blocks.*.attn2.*", "blocks.17.attn2.to_out.0"));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("a?c", "abc"));
  EXPECT_TRUE(glob_match("*a*b", "xaxxab"));
  EXPECT_FALSE(glob_match("a?c", "ac"));
  EXPECT_FALSE(glob_match("blocks.1.*", "blocks.10.ffn"));
  EXPECT_FALSE(glob_match("", "a"));
}

}  // namespace
}  // namespace mxvideo::quantization
