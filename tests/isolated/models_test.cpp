// Every golden of the models on the isolated device: the bits of the host, which other tests hold
// against the goldens.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/text/json.h"
#include "checkpoint/wan/key_map.h"
#include "isolated/isolated_device.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> goldens(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(golden_path(folder))) {
    names.push_back(folder + "/" + entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& instance) {
  std::string name = fs::path(instance.param).stem().string();
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

template <class Config>
Config read_config(const std::string& directory) {
  const std::string path = golden_path(directory) + "/config.json";
  return Config::from_json(read_json_file(path), path);
}

template <class Model>
void load(Model& model, const std::string& directory, checkpoint::Component kind,
          kernels::Context& context) {
  auto files = checkpoint::Checkpoint::open_directory(golden_path(directory));
  checkpoint::normalize_names(files, kind);
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  loader.load(files, context);
}

// Element `index` of a batch.
Tensor of_batch(const GoldenFile& golden, const std::string& name, size_t index = 0) {
  const std::vector<int64_t> shape = golden.shape(name);
  const std::vector<float> all = golden.f32(name);
  const Shape element(std::span<const int64_t>(shape).subspan(1));
  const auto count = static_cast<size_t>(element.count());
  return Tensor::from_values(element, std::span(all).subspan(index * count, count));
}

// run(context) on the host and on an isolated device; its results there, as they lie in memory.
template <class Run>
void expect_same_bits(const Run& run, const kernels::RunPolicy& policy = {}) {
  kernels::Context context(policy);
  const std::vector<Tensor> expected = run(context);
  IsolatedDevice device;
  kernels::Context isolated(policy, device);
  const std::vector<Tensor> actual = run(isolated);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(actual[i].shape(), expected[i].shape());
    const Tensor host = actual[i].copy_to(cpu_device());
    EXPECT_TRUE(std::ranges::equal(host.values(), expected[i].values())) << "result " << i;
  }
  EXPECT_EQ(isolated.choices(), context.choices());
}

class IsolatedTransformer : public testing::TestWithParam<std::string> {};

TEST_P(IsolatedTransformer, HasTheBitsOfTheHost) {
  const GoldenFile golden(GetParam());
  const auto info = nlohmann::json::parse(golden.metadata().at("info"));
  const std::string variant = fs::path(GetParam()).stem().string();
  const std::string directory = "models/" + variant.substr(0, variant.find('_')) + "/transformer";
  const auto config = read_config<models::WanTransformerConfig>(directory);
  std::vector<float> timesteps;
  std::vector<int32_t> token_timestep;
  if (golden.dtype("input.timestep") == "I64") {
    timesteps = {static_cast<float>(golden.i64("input.timestep")[0])};
  } else {
    std::map<float, int32_t> rows;
    for (const float timestep : golden.f32("input.timestep")) {
      const auto [row, added] = rows.try_emplace(timestep, static_cast<int32_t>(rows.size()));
      if (added) timesteps.push_back(timestep);
      token_timestep.push_back(row->second);
    }
  }
  for (const char* scheme : {"none", "mxfp8"}) {
    for (const auto attention :
         {kernels::AttentionProducts::kFp32, kernels::AttentionProducts::kInt8}) {
      expect_same_bits(
          [&](kernels::Context& context) {
            models::WanTransformer model(config,
                                         *quantization::make_quantization_config(
                                             {.scheme = scheme, .ignored_layers = {}, .mx = {}}));
            load(model, directory, checkpoint::Component::kTransformer, context);
            const Tensor latents =
                of_batch(golden, "input.hidden_states").copy_to(context.device());
            const Tensor text =
                of_batch(golden, "input.encoder_hidden_states").copy_to(context.device());
            const models::WanTextContext prompt = model.encode_text({.text = &text}, context);
            models::WanTransformerWorkspace workspace(model, latents.shape(), context);
            std::vector<Tensor> result = model.forward({.latents = &latents,
                                                        .timesteps = timesteps,
                                                        .token_timestep = token_timestep,
                                                        .texts = {&prompt}},
                                                       workspace, context);
            context.device().synchronize();
            return result;
          },
          {.attention = attention});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, IsolatedTransformer, testing::ValuesIn(goldens("dit")),
                         test_name);

class IsolatedVae : public testing::TestWithParam<std::string> {};

TEST_P(IsolatedVae, HasTheBitsOfTheHost) {
  const GoldenFile golden(GetParam());
  const std::string name = fs::path(GetParam()).stem().string();
  const std::string directory =
      name.starts_with("2.1") ? "models/t2v-a14b/vae" : "models/ti2v-5b/vae";
  const auto config = read_config<models::WanVaeConfig>(directory);
  const bool decodes = name.find("decode") != std::string::npos;
  const Tensor input = of_batch(golden, "input");
  const int64_t scale = config.scale_factor_spatial;
  for (const bool tiled : {false, true}) {
    models::WanVaeRun run;
    if (tiled) {
      run.tiling = models::WanVaeTiling{.tile_height = 2 * scale, .tile_width = 2 * scale};
    }
    expect_same_bits([&](kernels::Context& context) {
      models::WanVae vae(config);
      load(vae, directory, checkpoint::Component::kVae, context);
      run.context = &context;
      std::vector<Tensor> results;
      if (decodes) {
        Tensor latents = input.copy_to(context.device());
        models::denormalize_latents(config, latents, latents, context);
        vae.decode(latents, run,
                   [&](const auto& part) { results.push_back(part.values.copy_to(cpu_device())); });
      } else {
        // The golden's pixels are channels first.
        const Shape& s = input.shape();
        Tensor video = Tensor::zeros({s[1], s[2], s[3], 3});
        const int64_t plane = s[1] * s[2] * s[3];
        for (int64_t i = 0; i < plane * 3; ++i)
          video.f32()[i] = input.values()[i % 3 * plane + i / 3];
        Tensor latents = vae.encode(video.copy_to(context.device()), run);
        models::normalize_latents(config, latents, latents, context);
        results.push_back(std::move(latents));
      }
      context.device().synchronize();
      return results;
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, IsolatedVae, testing::ValuesIn(goldens("vae")), test_name);

class IsolatedTextEncoder : public testing::TestWithParam<std::string> {};

TEST_P(IsolatedTextEncoder, HasTheBitsOfTheHost) {
  const GoldenFile golden(GetParam());
  const std::vector<int64_t> golden_ids = golden.i64("ids");
  const std::vector<int32_t> ids(golden_ids.begin(), golden_ids.end());
  const std::string directory = "models/t2v-a14b/text_encoder";
  const auto config = read_config<models::Umt5Config>(directory);
  for (const char* scheme : {"none", "mxfp8"}) {
    expect_same_bits([&](kernels::Context& context) {
      models::Umt5Encoder encoder(config, *quantization::make_quantization_config(
                                              {.scheme = scheme, .ignored_layers = {}, .mx = {}}));
      load(encoder, directory, checkpoint::Component::kTextEncoder, context);
      std::vector<Tensor> results;
      results.push_back(encoder.encode(ids, context));
      context.device().synchronize();
      return results;
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, IsolatedTextEncoder, testing::ValuesIn(goldens("umt5")),
                         test_name);

}  // namespace
}  // namespace mxvideo::test
