// The text encoder with MXFP8 linears against transformers' model whose linears torchao quantizes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/parallel.h"
#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "models/umt5/umt5_encoder.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::models {
namespace {

constexpr const char* kCases[] = {"word", "english", "mixed", "long"};

Umt5Encoder load(const std::string& scheme) {
  const std::string directory = test::golden_path("models/t2v-a14b/text_encoder");
  const auto quantization =
      quantization::make_quantization_config({.scheme = scheme, .ignored_layers = {}, .mx = {}});
  const auto json = read_json_file(directory + "/config.json");
  Umt5Encoder encoder(Umt5Config::from_json(json, directory), *quantization);
  const auto files = checkpoint::Checkpoint::open_directory(directory);
  checkpoint::ParameterLoader loader;
  encoder.declare_parameters(loader);
  loader.load(files);
  return encoder;
}

Tensor encode(const Umt5Encoder& encoder, const std::string& name, kernels::Context context = {}) {
  const std::vector<int64_t> ids = test::GoldenFile("umt5/" + name + ".safetensors").i64("ids");
  return encoder.encode(std::vector<int32_t>(ids.begin(), ids.end()), context);
}

// As for the transformer: an activation next to a rounding boundary may fall on its other side in
// another fp32 implementation. "sensitivity" says how far the torch model's output moves then;
// prompts in which nothing does agree to fp32 accuracy, and those must be the rule.
TEST(Umt5Mxfp8, MatchesTorchaoQuantizationOfTheSameModel) {
  const Umt5Encoder encoder = load("mxfp8");
  int equal = 0;
  double largest_sensitivity = 0;
  std::vector<double> errors;
  for (const std::string name : kCases) {
    const test::GoldenFile golden("umt5_mxfp8/" + name + ".safetensors");
    const auto info = nlohmann::json::parse(golden.metadata().at("info"));
    largest_sensitivity = std::max(largest_sensitivity, info["sensitivity"].get<double>());
    // Products as the format defines them, without the rounding of fast rows.
    kernels::Context context;
    context.policy.forced_rows["gemm_mx"] = "reference";
    errors.push_back(
        test::relative_rms(encode(encoder, name, context).values(), golden.f32("output")));
    equal += errors.back() < 1e-5 ? 1 : 0;
  }
  EXPECT_GE(equal, 2);
  for (size_t i = 0; i < errors.size(); ++i) {
    EXPECT_LT(errors[i], 1.5 * largest_sensitivity) << kCases[i];
  }
}

// What the quantization costs is what it costs in the torch model. Its own change of sides moves an
// output by at most the sensitivity, a tenth of the noise: 0.1·20/ln 10 = 0.9 dB.
TEST(Umt5Mxfp8, CostsAsManyDecibelsAsInTorch) {
  const Umt5Encoder exact = load("none");
  const Umt5Encoder quantized = load("mxfp8");
  for (const std::string name : kCases) {
    const test::GoldenFile golden("umt5_mxfp8/" + name + ".safetensors");
    const auto info = nlohmann::json::parse(golden.metadata().at("info"));
    const double error =
        test::relative_rms(encode(quantized, name).values(), encode(exact, name).values());
    EXPECT_NEAR(-20 * std::log10(error), info["sqnr_db"].get<double>(), 0.9) << name;
  }
}

TEST(Umt5Mxfp8, NamesWhatItQuantizes) {
  const Umt5Encoder exact = load("none"), encoder = load("mxfp8");
  int quantized = 0;
  for (const quantization::LinearMethod* linear : encoder.linears()) {
    const bool fits = linear->shape().in_features % 32 == 0;
    EXPECT_STREQ(linear->scheme(), fits ? "mxfp8" : "none") << linear->name();
    EXPECT_EQ(linear->reason().empty(), fits) << linear->name();
    quantized += fits ? 1 : 0;
  }
  EXPECT_EQ(quantized, 12);
  EXPECT_EQ(encoder.linears().size(), 14u);
  EXPECT_EQ(encoder.linears()[7]->name(), "encoder.block.1.layer.0.SelfAttention.q");
  EXPECT_LT(encoder.weight_bytes(), exact.weight_bytes());
}

TEST(Umt5Mxfp8, SameBitsForAnyNumberOfThreads) {
  const int threads = num_threads();
  std::vector<float> expected;
  for (const int count : {1, 2, 7}) {
    set_num_threads(count);
    const Tensor output = encode(load("mxfp8"), "mixed");
    if (expected.empty()) expected.assign(output.values().begin(), output.values().end());
    EXPECT_TRUE(std::ranges::equal(expected, output.values())) << count << " threads";
  }
  set_num_threads(threads);
}

}  // namespace
}  // namespace mxvideo::models
