#include "support/golden_models.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "base/text/json.h"
#include "checkpoint/wan/key_map.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "support/golden_file.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

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

std::unique_ptr<quantization::QuantizationConfig> config_of(const char* scheme) {
  return quantization::make_quantization_config({.scheme = scheme, .ignored_layers = {}, .mx = {}});
}

// The first element of a batch.
Tensor of_batch(const GoldenFile& golden, const std::string& name) {
  const std::vector<int64_t> shape = golden.shape(name);
  const std::vector<float> all = golden.f32(name);
  const Shape element(std::span<const int64_t>(shape).subspan(1));
  return Tensor::from_values(element, std::span(all).first(static_cast<size_t>(element.count())));
}

// [c, t, h, w] with the channels last.
Tensor channels_last(const Tensor& video) {
  const Shape& s = video.shape();
  Tensor turned = Tensor::zeros({s[1], s[2], s[3], s[0]});
  const int64_t plane = s[1] * s[2] * s[3];
  for (int64_t i = 0; i < plane * s[0]; ++i) {
    turned.f32()[i] = video.values()[static_cast<size_t>(i % s[0] * plane + i / s[0])];
  }
  return turned;
}

// Distinct timesteps, and the one of each token where they differ.
struct Timesteps {
  std::vector<float> values;
  std::vector<int32_t> of_tokens;
};

Timesteps timesteps_of(const GoldenFile& golden) {
  Timesteps result;
  if (golden.dtype("input.timestep") == "I64") {
    result.values = {static_cast<float>(golden.i64("input.timestep")[0])};
    return result;
  }
  std::map<float, int32_t> rows;
  for (const float timestep : golden.f32("input.timestep")) {
    const auto [row, added] = rows.try_emplace(timestep, static_cast<int32_t>(rows.size()));
    if (added) result.values.push_back(timestep);
    result.of_tokens.push_back(row->second);
  }
  return result;
}

}  // namespace

std::vector<std::string> goldens(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(golden_path(folder))) {
    names.push_back(folder + "/" + entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string golden_test_name(const testing::TestParamInfo<std::string>& instance) {
  std::string name = fs::path(instance.param).stem().string();
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

Tensor run_golden_transformer(const std::string& golden_name, const char* scheme,
                              kernels::Context& context, const Observer& observer) {
  const GoldenFile golden(golden_name);
  const std::string variant = fs::path(golden_name).stem().string();
  const std::string directory = "models/" + variant.substr(0, variant.find('_')) + "/transformer";
  models::WanTransformer model(read_config<models::WanTransformerConfig>(directory),
                               *config_of(scheme));
  load(model, directory, checkpoint::Component::kTransformer, context);
  const models::Probe* probe = observer ? &observer : nullptr;
  const Timesteps timesteps = timesteps_of(golden);
  const Tensor latents = of_batch(golden, "input.hidden_states").copy_to(context.device());
  const Tensor text = of_batch(golden, "input.encoder_hidden_states").copy_to(context.device());
  const models::WanTextContext prompt = model.encode_text({.text = &text, .probe = probe}, context);
  models::WanTransformerWorkspace workspace(model, latents.shape(), context);
  std::vector<Tensor> result = model.forward({.latents = &latents,
                                              .timesteps = timesteps.values,
                                              .token_timestep = timesteps.of_tokens,
                                              .texts = {&prompt},
                                              .probe = probe},
                                             workspace, context);
  context.device().synchronize();
  return std::move(result.at(0));
}

std::vector<Tensor> run_golden_vae(const std::string& golden_name, bool tiled,
                                   kernels::Context& context, const Observer& observer) {
  const GoldenFile golden(golden_name);
  const std::string name = fs::path(golden_name).stem().string();
  const std::string directory =
      name.starts_with("2.1") ? "models/t2v-a14b/vae" : "models/ti2v-5b/vae";
  const auto config = read_config<models::WanVaeConfig>(directory);
  models::WanVaeRun run{.context = &context, .observe = observer};
  if (tiled) {
    const int64_t side = 2 * config.scale_factor_spatial;
    run.tiling = models::WanVaeTiling{.tile_height = side, .tile_width = side};
  }
  models::WanVae vae(config);
  load(vae, directory, checkpoint::Component::kVae, context);
  const Tensor input = of_batch(golden, "input");
  std::vector<Tensor> results;
  if (name.find("decode") != std::string::npos) {
    Tensor latents = input.copy_to(context.device());
    models::denormalize_latents(config, latents, latents, context);
    vae.decode(latents, run,
               [&](const auto& part) { results.push_back(part.values.copy_to(cpu_device())); });
  } else {
    Tensor latents = vae.encode(channels_last(input).copy_to(context.device()), run);
    models::normalize_latents(config, latents, latents, context);
    results.push_back(std::move(latents));
  }
  context.device().synchronize();
  return results;
}

Tensor run_golden_text_encoder(const std::string& golden_name, const char* scheme,
                               kernels::Context& context, const Observer& observer) {
  const GoldenFile golden(golden_name);
  const std::vector<int64_t> golden_ids = golden.i64("ids");
  const std::vector<int32_t> ids(golden_ids.begin(), golden_ids.end());
  const std::string directory = "models/t2v-a14b/text_encoder";
  models::Umt5Encoder encoder(read_config<models::Umt5Config>(directory), *config_of(scheme));
  load(encoder, directory, checkpoint::Component::kTextEncoder, context);
  Tensor result = encoder.encode(ids, {.context = &context, .observe = observer});
  context.device().synchronize();
  return result;
}

}  // namespace mxvideo::test
