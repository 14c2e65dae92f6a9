#include "models/wan_transformer/wan_transformer.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "base/parallel.h"
#include "base/text/json.h"
#include "models/wan_transformer/weights.h"
#include "support/golden_file.h"
#include "support/test_support.h"
#include "synthetic/model_preset.h"
#include "synthetic/random_component.h"

namespace mxvideo::models {
namespace {

using checkpoint::Checkpoint;
using checkpoint::ParameterLoader;

std::unique_ptr<WanTransformer> load(const std::string& directory,
                                     const quantization::QuantizationOptions& options) {
  const std::string path = test::golden_path(directory);
  const auto config =
      WanTransformerConfig::from_json(read_json_file(path + "/config.json"), path + "/config.json");
  const auto scheme = quantization::make_quantization_config(options);
  auto model = std::make_unique<WanTransformer>(config, *scheme);
  ParameterLoader loader;
  model->declare_parameters(loader);
  loader.load(Checkpoint::open_directory(path));
  return model;
}

// One batch element of a golden case as the model takes it.
struct Case {
  Tensor latents;
  Tensor text;
  std::vector<float> timesteps;
  std::vector<int32_t> token_timestep;
};

Tensor slice_batch(const test::GoldenFile& golden, const std::string& name, int64_t index) {
  const std::vector<int64_t> shape = golden.shape(name);
  const std::vector<float> all = golden.f32(name);
  const Shape element(std::span<const int64_t>(shape).subspan(1));
  const auto count = static_cast<size_t>(element.count());
  return Tensor::from_values(element,
                             std::span(all).subspan(static_cast<size_t>(index) * count, count));
}

Case read_case(const test::GoldenFile& golden, int64_t batch_index) {
  Case result{.latents = slice_batch(golden, "input.hidden_states", batch_index),
              .text = slice_batch(golden, "input.encoder_hidden_states", batch_index),
              .timesteps = {},
              .token_timestep = {}};
  if (golden.dtype("input.timestep") == "I64") {
    const int64_t timestep = golden.i64("input.timestep")[static_cast<size_t>(batch_index)];
    result.timesteps = {static_cast<float>(timestep)};
    return result;
  }
  std::map<float, int32_t> rows;
  for (float timestep : golden.f32("input.timestep")) {
    const auto [row, added] = rows.try_emplace(timestep, static_cast<int32_t>(rows.size()));
    if (added) result.timesteps.push_back(timestep);
    result.token_timestep.push_back(row->second);
  }
  return result;
}

Tensor run(const WanTransformer& model, const Case& input, const Probe* probe = nullptr,
           kernels::Context context = {}) {
  WanTransformerWorkspace workspace(model, input.latents.shape(), context);
  const WanTextContext text = model.encode_text(
      {.text = &input.text, .rows = input.text.dim(0), .cancellation = nullptr, .probe = probe},
      context);
  std::vector<Tensor> velocities = model.forward({.latents = &input.latents,
                                                  .timesteps = input.timesteps,
                                                  .token_timestep = input.token_timestep,
                                                  .texts = {&text},
                                                  .cancellation = nullptr,
                                                  .probe = probe},
                                                 workspace, context);
  return std::move(velocities.at(0));
}

// Products as the format defines them, without the rounding of fast rows.
kernels::Context defined_products() {
  kernels::Context context;
  context.policy.forced_rows["gemm_mx"] = "reference";
  return context;
}

class TensorMaker {
 public:
  explicit TensorMaker(uint32_t seed) : engine_(seed) {}
  Tensor normal(const Shape& shape) {
    Tensor tensor(DType::kF32, shape);
    for (int64_t i = 0; i < tensor.count(); ++i) tensor.f32()[i] = normal_(engine_);
    return tensor;
  }

 private:
  std::mt19937 engine_;
  std::normal_distribution<float> normal_;
};

struct GoldenCase {
  const char* file;
  int64_t batch = 1;
};

constexpr GoldenCase kCases[] = {{"t2v-a14b_f1_4x6.safetensors"},
                                 {"t2v-a14b_f3_6x10.safetensors"},
                                 {"t2v-a14b_f3_4x10_batch2.safetensors", 2},
                                 {"i2v-a14b_f1_10x6.safetensors"},
                                 {"i2v-a14b_f3_6x10.safetensors"},
                                 {"ti2v-5b_f1_6x4.safetensors"},
                                 {"ti2v-5b_f3_6x10.safetensors"},
                                 {"ti2v-5b_f3_10x6_i2v.safetensors"}};

std::string model_directory(const test::GoldenFile& golden) {
  const auto info = nlohmann::json::parse(golden.metadata().at("info"));
  return "models/" + info["variant"].get<std::string>() + "/" +
         info["subfolder"].get<std::string>();
}

class WanTransformerGolden : public testing::TestWithParam<GoldenCase> {};

INSTANTIATE_TEST_SUITE_P(Dit, WanTransformerGolden, testing::ValuesIn(kCases));

TEST_P(WanTransformerGolden, EveryIntermediateMatchesDiffusers) {
  const test::GoldenFile golden("dit/" + std::string(GetParam().file));
  const auto model = load(model_directory(golden), {});
  for (int64_t index = 0; index < GetParam().batch; ++index) {
    const Case input = read_case(golden, index);
    int compared = 0;
    const Probe probe = [&](const std::string& name, const Tensor& value) {
      // Time tensors hold one row per distinct timestep; the golden of TI2V one per token.
      if (!golden.has(name) || (name.starts_with("time.") && !input.token_timestep.empty())) return;
      const Tensor expected = slice_batch(golden, name, index);
      EXPECT_LT(test::relative_rms(value.values(), expected.values()), 1e-4) << name;
      ++compared;
    };
    const Tensor output = run(*model, input, &probe);
    EXPECT_GE(compared, 20);
    const Tensor expected = slice_batch(golden, "output", index);
    EXPECT_EQ(output.shape(), expected.shape());
    EXPECT_LT(test::relative_rms(output.values(), expected.values()), 1e-4);
  }
}

TEST_P(WanTransformerGolden, Mxfp8HasTheSameBitsForAnyThreadCount) {
  const test::GoldenFile golden("dit/" + std::string(GetParam().file));
  const Case input = read_case(golden, 0);
  std::vector<float> first;
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads);
    const auto model =
        load(model_directory(golden), {.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
    const Tensor output = run(*model, input);
    if (first.empty()) first.assign(output.values().begin(), output.values().end());
    EXPECT_TRUE(std::ranges::equal(first, output.values())) << threads << " threads";
  }
  set_num_threads(2);
}

// torchao quantizes the same weights and activations in a torch model. An activation next to a
// rounding boundary may fall on either side of it in another fp32 implementation; the goldens say
// how far the output of the torch model moves then ("sensitivity"). Forwards in which nothing fell
// on the other side agree to fp32 accuracy, and those must be the rule.
TEST(WanTransformer, Mxfp8MatchesTorchaoQuantizationOfTheSameModel) {
  int equal = 0;
  double largest_sensitivity = 0;
  std::vector<double> errors;
  for (const GoldenCase& param : kCases) {
    const test::GoldenFile golden("dit/" + std::string(param.file));
    const test::GoldenFile quantized("dit_mxfp8/" + std::string(param.file));
    const auto model =
        load(model_directory(golden), {.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
    const Tensor output = run(*model, read_case(golden, 0), nullptr, defined_products());
    errors.push_back(
        test::relative_rms(output.values(), slice_batch(quantized, "output", 0).values()));
    equal += errors.back() < 1e-5 ? 1 : 0;
    const auto info = nlohmann::json::parse(quantized.metadata().at("info"));
    largest_sensitivity = std::max(largest_sensitivity, info["sensitivity"].get<double>());
    const Tensor exact = slice_batch(golden, "output", 0);
    EXPECT_GT(test::relative_rms(output.values(), exact.values()), 0.02) << "nothing was quantized";
  }
  EXPECT_GE(equal, 4);
  for (size_t i = 0; i < errors.size(); ++i) {
    EXPECT_LT(errors[i], 1.5 * largest_sensitivity) << kCases[i].file;
  }
}

// What the rows that a run takes round beyond the definition costs at most 0.3 dB at the output:
// over all of these small models, since on one of them other rounding of the same size may come
// out either way (-0.5 to +0.7 dB with int8 products).
TEST(WanTransformer, Mxfp8OfTheChosenRowsIsAsGoodAsItsDefinition) {
  double chosen_power = 0, defined_power = 0;
  for (const GoldenCase& param : kCases) {
    const test::GoldenFile golden("dit/" + std::string(param.file));
    const Case input = read_case(golden, 0);
    const Tensor exact = slice_batch(golden, "output", 0);
    const auto model =
        load(model_directory(golden), {.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
    const double chosen = test::relative_rms(run(*model, input).values(), exact.values());
    const double defined = test::relative_rms(
        run(*model, input, nullptr, defined_products()).values(), exact.values());
    chosen_power += chosen * chosen;
    defined_power += defined * defined;
    EXPECT_LT(20 * std::log10(chosen / defined), 1) << param.file;
  }
  const double added_db = 10 * std::log10(chosen_power / defined_power);
  RecordProperty("added_db", std::to_string(added_db));
  EXPECT_LT(added_db, 0.3);
}

// Self attention in integers, against PyTorch in fp32. MXFP8 layers cost 25 to 31 dB.
TEST(WanTransformer, Int8AttentionKeepsFortyDecibels) {
  for (const GoldenCase& param : kCases) {
    const test::GoldenFile golden("dit/" + std::string(param.file));
    const Case input = read_case(golden, 0);
    const Tensor exact = slice_batch(golden, "output", 0);
    const auto model = load(model_directory(golden), {});
    kernels::Context context;
    context.policy.attention = kernels::AttentionProducts::kInt8;
    std::set<std::string> ops;
    context.on_choice = [&](const char* op) { ops.insert(op); };
    const Tensor output = run(*model, input, nullptr, context);
    EXPECT_TRUE(ops.contains("attention_int8") && ops.contains("attention")) << "cross: fp32";
    EXPECT_LT(test::relative_rms(output.values(), exact.values()), 1e-2) << param.file;
    EXPECT_GT(test::relative_rms(output.values(), exact.values()), 1e-4) << param.file;
  }
}

// A model of demo size with random weights, scaled by fan-in as an untrained model's.
class RandomTransformer {
 public:
  explicit RandomTransformer(const char* variant)
      : config_(WanTransformerConfig::from_json(
            synthetic::model_preset(variant, "demo").transformer, variant)) {
    WanTransformer model(config_, *quantization::make_quantization_config({}));
    ParameterLoader loader;
    model.declare_parameters(loader);
    synthetic::write_random_component({.directory = files_.path(), .seed = 11}, loader.declared());
  }

  std::unique_ptr<WanTransformer> load(const char* scheme) const {
    auto model = std::make_unique<WanTransformer>(
        config_, *quantization::make_quantization_config(
                     {.scheme = scheme, .ignored_layers = {}, .mx = {}}));
    ParameterLoader loader;
    model->declare_parameters(loader);
    loader.load(Checkpoint::open_directory(files_.path()));
    return model;
  }

  Case input(uint32_t seed) const {
    TensorMaker maker(seed);
    return {.latents = maker.normal({config_.in_channels, 3, 8, 10}),
            .text = maker.normal({17, config_.text_dim}),
            .timesteps = {700.0f},
            .token_timestep = {}};
  }

 private:
  WanTransformerConfig config_;
  test::TemporaryDirectory files_;
};

constexpr const char* kVariants[] = {"t2v-a14b", "i2v-a14b", "ti2v-5b"};

// What quantization costs at the output.
TEST(WanTransformer, Mxfp8KeepsTwentyFiveDecibelsOnRandomWeights) {
  for (const char* variant : kVariants) {
    const RandomTransformer random(variant);
    const Case input = random.input(5);
    const double error = test::relative_rms(run(*random.load("mxfp8"), input).values(),
                                            run(*random.load("none"), input).values());
    EXPECT_GE(-20 * std::log10(error), 25.0) << variant;
    EXPECT_LE(-20 * std::log10(error), 40.0) << variant << ": nothing was quantized";
  }
}

// What rows "…_fast" in every layer cost beyond that, by their definition, which every CPU has.
TEST(WanTransformer, Int8ProductsOfMxfp8CostAtMostAThirdOfADecibel) {
  kernels::Context fast;
  fast.policy.compute = kernels::Compute::kFast;
  fast.policy.forced_rows["gemm_mx"] = "reference_fast";
  double rounded = 0;
  double defined = 0;
  for (const char* variant : kVariants) {
    const RandomTransformer random(variant);
    const auto exact = random.load("none");
    const auto quantized = random.load("mxfp8");
    const Case input = random.input(5);
    const Tensor expected = run(*exact, input);
    const auto noise = [&](const kernels::Context& context) {
      const Tensor output = run(*quantized, input, nullptr, context);
      const double error = test::relative_rms(output.values(), expected.values());
      return error * error;
    };
    rounded += noise(fast);
    defined += noise(defined_products());
  }
  EXPECT_GT(rounded, defined);
  EXPECT_LT(10 * std::log10(rounded / defined), 0.3);
}

TEST(WanTransformer, QuantizesTheTenLinearsOfEachBlockAndNothingElse) {
  const auto model = load("models/i2v-a14b/transformer",
                          {.scheme = "mxfp8", .ignored_layers = {"blocks.1.attn2.*"}, .mx = {}});
  int quantized = 0;
  for (const auto* linear : model->linears()) {
    const bool block = linear->name().starts_with("blocks.");
    const bool ignored = linear->name().starts_with("blocks.1.attn2.");
    EXPECT_STREQ(linear->scheme(), block && !ignored ? "mxfp8" : "none") << linear->name();
    EXPECT_EQ(linear->reason().empty(), block && !ignored) << linear->name();
    quantized += block && !ignored ? 1 : 0;
  }
  EXPECT_EQ(quantized, 2 * 10 - 4);
}

// K and V of a block for every row of the text.
std::vector<float> keys_and_values(const WanTextContext& text, size_t block) {
  kernels::Context context;
  std::vector<float> all;
  for (const Tensor* tensor : {&text.blocks[block].k, &text.blocks[block].v}) {
    const Tensor rows = all_text_rows(*tensor, text.rows, context);
    all.insert(all.end(), rows.values().begin(), rows.values().end());
  }
  return all;
}

// As the rows of a text that happen to be zero.
TEST(WanTransformer, PaddingOfTheTextIsHeldOnceAndChangesNoBit) {
  constexpr int64_t kRows = 77, kPrompt = 21;
  const auto model =
      load("models/i2v-a14b/transformer", {.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
  const int64_t text_dim = model->config().text_dim;
  Tensor padded = Tensor::zeros({kRows, text_dim});
  const Tensor prompt = TensorMaker(3).normal({kPrompt, text_dim});
  std::ranges::copy(prompt.values(), padded.f32());
  kernels::Context context;
  const WanTextContext once = model->encode_text({.text = &prompt, .rows = kRows}, context);
  const WanTextContext all = model->encode_text({.text = &padded, .rows = kRows}, context);
  ASSERT_EQ(once.blocks.size(), static_cast<size_t>(model->config().num_layers));
  EXPECT_EQ(once.rows, kRows);
  EXPECT_EQ(all.rows, kRows);
  const int64_t row_bytes = model->config().dim() * dtype_size(DType::kF32);
  const int64_t tensors = 2 * model->config().num_layers;
  EXPECT_EQ(once.bytes(), tensors * (kPrompt + 1) * row_bytes);
  EXPECT_EQ(all.bytes(), tensors * kRows * row_bytes);
  for (size_t block = 0; block < once.blocks.size(); ++block) {
    EXPECT_EQ(keys_and_values(once, block), keys_and_values(all, block)) << "block " << block;
  }
}

// Each text as if it were alone, and the feed-forward layers for any number of tokens at a time.
TEST(WanTransformer, TextsAndPiecesOfTheFeedForwardChangeNoBit) {
  const test::GoldenFile golden("dit/ti2v-5b_f3_10x6_i2v.safetensors");
  const auto model =
      load(model_directory(golden), {.scheme = "mxfp8", .ignored_layers = {}, .mx = {}});
  Case input = read_case(golden, 0);
  const Tensor first = run(*model, input);
  kernels::Context context;
  const WanTextContext text =
      model->encode_text({.text = &input.text, .rows = input.text.dim(0)}, context);
  input.text.f32()[0] += 1;
  const Tensor second = run(*model, input);
  EXPECT_FALSE(std::ranges::equal(first.values(), second.values()));
  const WanTextContext other =
      model->encode_text({.text = &input.text, .rows = input.text.dim(0)}, context);
  WanTransformerWorkspace workspace(*model, input.latents.shape(), context);
  workspace.ffn = Tensor(DType::kF32, {7, model->config().ffn_dim});
  const std::vector<Tensor> both = model->forward({.latents = &input.latents,
                                                   .timesteps = input.timesteps,
                                                   .token_timestep = input.token_timestep,
                                                   .texts = {&text, &other},
                                                   .cancellation = nullptr,
                                                   .probe = nullptr},
                                                  workspace, context);
  ASSERT_EQ(both.size(), 2u);
  EXPECT_TRUE(std::ranges::equal(both[0].values(), first.values()));
  EXPECT_TRUE(std::ranges::equal(both[1].values(), second.values()));
}

TEST(WanTransformer, RefusesLatentsThatDoNotFit) {
  const auto model = load("models/t2v-a14b/transformer", {});
  EXPECT_EQ(test::expect_error([&] {
              model->token_count({16, 1, 5, 4});
            }).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(test::expect_error([&] {
              model->token_count({16, 2000, 4, 4});
            }).code(),
            Code::kInvalidArgument);
}

TEST(WanTransformer, StopsWhenCancelled) {
  const test::GoldenFile golden("dit/t2v-a14b_f1_4x6.safetensors");
  const auto model = load("models/t2v-a14b/transformer", {});
  const Case input = read_case(golden, 0);
  CancellationToken token;
  token.cancel();
  kernels::Context context;
  WanTransformerWorkspace workspace(*model, input.latents.shape(), context);
  const WanTextContext text =
      model->encode_text({.text = &input.text, .rows = input.text.dim(0)}, context);
  const auto forward = [&] {
    model->forward({.latents = &input.latents,
                    .timesteps = input.timesteps,
                    .token_timestep = {},
                    .texts = {&text},
                    .cancellation = &token,
                    .probe = nullptr},
                   workspace, context);
  };
  EXPECT_EQ(test::expect_error(forward).code(), Code::kCancelled);
  const auto encode = [&] {
    model->encode_text({.text = &input.text, .rows = input.text.dim(0), .cancellation = &token},
                       context);
  };
  EXPECT_EQ(test::expect_error(encode).code(), Code::kCancelled);
}

}  // namespace
}  // namespace mxvideo::models
