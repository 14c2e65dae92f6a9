#include "evaluation/linear_fidelity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "checkpoint/safetensors_writer.h"
#include "formats/mx_block.h"
#include "support/test_support.h"

namespace mxvideo::evaluation {
namespace {

using quantization::LinearInput;
using quantization::LinearMethod;
using quantization::QuantizationOptions;

constexpr int64_t kOut = 33, kIn = 96;
constexpr quantization::LinearShape kShape{.out_features = kOut, .in_features = kIn};

Tensor random_tensor(const Shape& shape, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  Tensor tensor(DType::kF32, shape);
  for (int64_t i = 0; i < tensor.count(); ++i) tensor.f32()[i] = normal(engine);
  return tensor;
}

// Rows of 96 values through MXFP8 and back, by the definition of the format.
std::vector<double> round_trip(const Tensor& rows, const formats::MxOptions& options) {
  std::vector<double> values;
  for (int64_t first = 0; first < rows.count(); first += formats::kMxBlockSize) {
    std::array<uint8_t, 32> codes;
    std::array<float, 32> decoded;
    const uint8_t scale = formats::quantize_mx_block(
        std::span<const float, 32>(rows.f32() + first, 32), options, codes);
    formats::dequantize_mx_block(codes, scale, options.element, decoded);
    values.insert(values.end(), decoded.begin(), decoded.end());
  }
  return values;
}

struct Expected {
  double sqnr_db, cosine;
};

Expected error_between(const std::vector<double>& r, const std::vector<double>& a) {
  double signal = 0, actual = 0, noise = 0, product = 0;
  for (size_t i = 0; i < r.size(); ++i) {
    signal += r[i] * r[i];
    actual += a[i] * a[i];
    noise += (r[i] - a[i]) * (r[i] - a[i]);
    product += r[i] * a[i];
  }
  return {10 * std::log10(signal / noise), product / std::sqrt(signal * actual)};
}

class LinearFidelityTest : public testing::Test {
 protected:
  LinearFidelityTest() {
    const std::array tensors = {checkpoint::NamedTensor{"l.weight", weight_.view()},
                                checkpoint::NamedTensor{"l.bias", bias_.view()}};
    checkpoint::write_safetensors(temporary_.path() / "model.safetensors", tensors);
  }

  std::unique_ptr<LinearMethod> load(const quantization::QuantizationConfig& config,
                                     bool quantizable = true) {
    auto linear = config.make_linear("l", kShape, quantizable);
    checkpoint::ParameterLoader loader;
    linear->create_weights(loader);
    loader.load(checkpoint::Checkpoint::open_directory(temporary_.path()));
    return linear;
  }

  std::unique_ptr<quantization::QuantizationConfig> measured(const QuantizationOptions& options) {
    return fidelity_.wrap("transformer", options, quantization::make_quantization_config(options));
  }

  std::vector<double> product(const std::vector<double>& x, const std::vector<double>& w) const {
    std::vector<double> y;
    for (size_t row = 0; row < x.size() / kIn; ++row) {
      for (size_t column = 0; column < kOut; ++column) {
        double sum = bias_.values()[column];
        for (size_t k = 0; k < kIn; ++k) sum += x[row * kIn + k] * w[column * kIn + k];
        y.push_back(sum);
      }
    }
    return y;
  }

  test::TemporaryDirectory temporary_;
  kernels::Context context_;
  Tensor weight_ = random_tensor({kOut, kIn}, 1);
  Tensor bias_ = random_tensor({kOut}, 2);
  LinearFidelity fidelity_;
};

std::vector<double> doubles(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

TEST_F(LinearFidelityTest, MeasuresWhatTheFormatsDefine) {
  context_.policy.compute = kernels::Compute::kExact;
  const std::pair<const char*, formats::MxOptions> cases[] = {
      {"mxfp8", {}},
      {"mxfp8", {.scale_rule = formats::ScaleRule::kFloor}},
      {"mxint8", {.element = formats::MxElement::kInt8}}};
  for (const auto& [scheme, mx] : cases) {
    const QuantizationOptions options{
        .scheme = scheme, .ignored_layers = {}, .mx = {.scale_rule = mx.scale_rule}};
    LinearFidelity fidelity;
    const auto linear = load(
        *fidelity.wrap("transformer", options, quantization::make_quantization_config(options)));
    std::vector<double> exact, quantized;
    for (const uint32_t seed : {3u, 4u}) {  // sums run over the calls
      const Tensor x = random_tensor({5, kIn}, seed);
      LinearInput input(x.f32(), 5, kIn);
      Tensor y(DType::kF32, {5, kOut});
      linear->apply(input, {.y = y.f32()}, context_);
      const std::vector<double> a = product(doubles(x), doubles(weight_));
      const std::vector<double> b = product(round_trip(x, mx), round_trip(weight_, mx));
      exact.insert(exact.end(), a.begin(), a.end());
      quantized.insert(quantized.end(), b.begin(), b.end());
    }
    ASSERT_EQ(fidelity.layers().size(), 1u);
    const LayerFidelity& layer = *fidelity.layers().front();
    const Expected weights = error_between(doubles(weight_), round_trip(weight_, mx));
    EXPECT_NEAR(layer.weights.sqnr_db(), weights.sqnr_db, 1e-4);
    EXPECT_NEAR(layer.weight_error.sqnr_db(), weights.sqnr_db, 1e-9);
    EXPECT_NEAR(layer.weight_error.cosine(), weights.cosine, 1e-12);
    const Expected outputs = error_between(exact, quantized);
    EXPECT_EQ(layer.output_error.count(), 2 * (5 * kOut));
    EXPECT_NEAR(layer.output_error.sqnr_db(), outputs.sqnr_db, 1e-3);
    EXPECT_NEAR(layer.output_error.cosine(), outputs.cosine, 1e-6);
    EXPECT_EQ(layer.component, "transformer");
    EXPECT_EQ(layer.layer, "l");
  }
}

// What flows on is what the scheme gives without measuring, epilogue and residual in place
// included.
TEST_F(LinearFidelityTest, ChangesNoBit) {
  const QuantizationOptions options{.scheme = "mxfp8", .ignored_layers = {}, .mx = {}};
  const auto plain = load(*quantization::make_quantization_config(options));
  const auto linear = load(*measured(options));
  const Tensor x = random_tensor({7, kIn}, 3);
  const Tensor gate = random_tensor({kOut}, 5);
  for (const kernels::Epilogue epilogue : {kernels::Epilogue::kNone, kernels::Epilogue::kGeluTanh,
                                           kernels::Epilogue::kGatedResidual}) {
    std::vector<Tensor> results;
    for (const LinearMethod* method : {plain.get(), linear.get()}) {
      LinearInput input(x.f32(), 7, kIn);
      Tensor y = random_tensor({7, kOut}, 6);
      const bool gated = epilogue == kernels::Epilogue::kGatedResidual;
      method->apply(input,
                    {.y = y,
                     .epilogue = {.kind = epilogue,
                                  .residual = gated ? y.f32() : nullptr,
                                  .gate = gated ? gate.f32() : nullptr,
                                  .gate_stride = kOut}},
                    context_);
      results.push_back(std::move(y));
    }
    EXPECT_TRUE(std::ranges::equal(results[0].values(), results[1].values()));
  }
  EXPECT_STREQ(linear->scheme(), "mxfp8");
  EXPECT_EQ(linear->checkpoint_bytes(), plain->checkpoint_bytes());
  EXPECT_EQ(linear->weight_bytes(), plain->weight_bytes() + (kOut * kIn + kOut) * 4);
}

TEST_F(LinearFidelityTest, LayersThatAreNotQuantizedAreNotMeasured) {
  load(*measured({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}}), false);
  load(*measured({.scheme = "mxfp8", .ignored_layers = {"l"}, .mx = {}}));
  load(*measured({.scheme = "none", .ignored_layers = {}, .mx = {}}));
  EXPECT_TRUE(fidelity_.layers().empty());
}

}  // namespace
}  // namespace mxvideo::evaluation
