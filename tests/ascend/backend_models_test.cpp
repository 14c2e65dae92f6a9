// The goldens of the models through the Ascend backend, on the stand-in of CANN, against the host
// in fp32.
//
// Bounds. A rounding to BF16 moves a value by at most 2^-9 of it, and by 2^-9/sqrt(3) in the root
// of the mean square. What a block computes is rounded about a dozen times on its way to the
// residual stream (norm, q, k, v, their norms, rotation, attention, hidden, activation, and weights
// where they are not BF16 already), independently, so that n blocks add up to
// sqrt(12·n)·2^-9/sqrt(3) = 2·sqrt(n)·2^-9 of what they write; norms and activations of these small
// random models spread it by less than kSpread.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "ascend/backend_fixture.h"
#include "checkpoint/parameter_loader.h"
#include "models/wan_transformer/wan_transformer.h"
#include "support/golden_models.h"
#include "support/test_support.h"
#include "synthetic/model_preset.h"
#include "synthetic/random_component.h"

namespace mxvideo::test {
namespace {

constexpr double kSpread = 4;

double bound(int blocks) { return kSpread * 2 * std::sqrt(blocks) * kBf16; }

// Every intermediate and the result, by name.
using Values = std::map<std::string, std::vector<float>>;

Observer collect(Values& values) {
  return [&values](const std::string& name, const Tensor& value) {
    values[name] = host_floats(value);
  };
}

void expect_close(const Values& actual, const Values& expected, double limit) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, values] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    EXPECT_LT(relative_rms(actual.at(name), values), limit) << name;
  }
}

class AscendTransformerGolden : public testing::TestWithParam<std::string> {};

TEST_P(AscendTransformerGolden, HasEveryIntermediateWithinTheRoundingsOfBf16) {
  Values expected, actual;
  kernels::Context host;
  expected["result"] =
      host_floats(run_golden_transformer(GetParam(), "none", host, collect(expected)));
  StandInNpu npu;
  kernels::Context context({}, npu.device());
  actual["result"] =
      host_floats(run_golden_transformer(GetParam(), "none", context, collect(actual)));
  expect_close(actual, expected, bound(2));
}

// Quantization costs 25 to 31 dB; BF16 beside it next to nothing.
TEST_P(AscendTransformerGolden, QuantizedIsAsGoodAsOnTheHost) {
  kernels::Context host;
  const std::vector<float> exact = host_floats(run_golden_transformer(GetParam(), "none", host));
  const double cost =
      relative_rms(host_floats(run_golden_transformer(GetParam(), "mxfp8", host)), exact);
  StandInNpu npu;
  kernels::Context context({}, npu.device());
  const std::vector<float> actual =
      host_floats(run_golden_transformer(GetParam(), "mxfp8", context));
  const double on_npu = relative_rms(actual, exact);
  EXPECT_LT(20 * std::log10(on_npu / cost), 1.5);
  EXPECT_GT(on_npu, 0.02) << "nothing was quantized";
}

INSTANTIATE_TEST_SUITE_P(Goldens, AscendTransformerGolden, testing::ValuesIn(goldens("dit")),
                         golden_test_name);

// Widths as those of the real models, multiples of 64.
TEST(AscendTransformer, LaunchesFewOperatorsForABlockAndCopiesNothingBackInAStep) {
  nlohmann::ordered_json config = synthetic::model_preset("t2v-a14b", "demo").transformer;
  config["num_attention_heads"] = 2;
  config["attention_head_dim"] = 64;
  config["ffn_dim"] = 256;
  config["num_layers"] = 3;
  const auto parsed = models::WanTransformerConfig::from_json(config, "demo");
  const auto scheme =
      quantization::make_quantization_config({.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
  const TemporaryDirectory files;
  StandInNpu npu;
  kernels::Context context({}, npu.device());
  models::WanTransformer model(parsed, *scheme);
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  synthetic::write_random_component({.directory = files.path(), .seed = 3}, loader.declared());
  loader.load(checkpoint::Checkpoint::open_directory(files.path()), context);
  const Tensor latents = Tensor::zeros({parsed.in_channels, 3, 8, 10}).copy_to(npu.device());
  const Tensor text = Tensor::zeros({17, parsed.text_dim}).copy_to(npu.device());
  const models::WanTextContext prompt = model.encode_text({.text = &text, .rows = 512}, context);
  models::WanTransformerWorkspace workspace(model, latents.shape(), context);
  std::vector<int64_t> launches;
  standin_clear_counters();
  model.forward(
      {.latents = &latents,
       .timesteps = {700},
       .token_timestep = {},
       .texts = {&prompt},
       .progress = [&](int64_t, int64_t) { launches.push_back(npu.device().launches()); }},
      workspace, context);
  StandinCounters counters{};
  standin_counters(&counters);
  EXPECT_EQ(counters.device_to_host_copies, 0u);
  ASSERT_EQ(launches.size(), 3u);
  for (size_t block = 1; block < launches.size(); ++block) {
    EXPECT_LE(launches[block] - launches[block - 1], 32);
  }
  RecordProperty("launches_per_block", std::to_string(launches[2] - launches[1]));
  RecordProperty("bytes_to_device_per_step", std::to_string(counters.host_to_device_bytes));
}

class AscendVae : public testing::TestWithParam<std::string> {};

TEST_P(AscendVae, HasEveryIntermediateWithinTheRoundingsOfBf16) {
  for (const bool tiled : {false, true}) {
    if (tiled && GetParam().find("_f5") == std::string::npos)
      continue;  // convolutions are slow here
    Values expected, actual;
    const auto run = [&](kernels::Context& context, Values& values) {
      const std::vector<Tensor> parts =
          run_golden_vae(GetParam(), tiled, context, tiled ? Observer{} : collect(values));
      for (const Tensor& part : parts) {
        const std::vector<float> floats = host_floats(part);
        std::vector<float>& all = values["result"];
        all.insert(all.end(), floats.begin(), floats.end());
      }
    };
    kernels::Context host;
    run(host, expected);
    StandInNpu npu;
    kernels::Context context({}, npu.device());
    run(context, actual);
    expect_close(actual, expected, bound(12));
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, AscendVae, testing::ValuesIn(goldens("vae")), golden_test_name);

class AscendTextEncoder : public testing::TestWithParam<std::string> {};

TEST_P(AscendTextEncoder, HasEveryIntermediateWithinTheRoundingsOfBf16) {
  Values expected, actual;
  kernels::Context host;
  expected["result"] =
      host_floats(run_golden_text_encoder(GetParam(), "none", host, collect(expected)));
  StandInNpu npu;
  kernels::Context context({}, npu.device());
  actual["result"] =
      host_floats(run_golden_text_encoder(GetParam(), "none", context, collect(actual)));
  expect_close(actual, expected, bound(2));
}

INSTANTIATE_TEST_SUITE_P(Goldens, AscendTextEncoder, testing::ValuesIn(goldens("umt5")),
                         golden_test_name);

}  // namespace
}  // namespace mxvideo::test
