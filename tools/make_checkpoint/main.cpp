// mxvideo-make-checkpoint: a model directory of random weights in the exact Diffusers layout, for
// the demo, for tests of real widths and for benches.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "model_preset.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "random_component.h"
#include "tokenizer_files.h"

namespace {

namespace fs = std::filesystem;
using namespace mxvideo;
using checkpoint::ParameterLoader;
using checkpoint::ParameterSpec;

struct Options {
  std::string variant = "ti2v-5b";
  std::string preset = "demo";
  fs::path output;
  uint64_t seed = 1;
  std::set<std::string> components = {"transformer",  "transformer_2", "vae",
                                      "text_encoder", "tokenizer",     "scheduler"};
};

void write_json(const fs::path& path, const nlohmann::ordered_json& json) {
  fs::create_directories(path.parent_path());
  write_file_atomically(path, json.dump(2) + "\n");
}

template <class Model>
std::vector<ParameterSpec> parameters_of(Model& model) {
  ParameterLoader loader;
  model.declare_parameters(loader);
  return loader.declared();
}

void write_transformer(const Options& options, const nlohmann::ordered_json& config,
                       const std::string& name, uint64_t seed) {
  if (options.components.count(name) == 0) return;
  const fs::path directory = options.output / name;
  write_json(directory / "config.json", config);
  models::WanTransformer model(models::WanTransformerConfig::from_json(config, name),
                               *quantization::make_quantization_config({}));
  tools::write_random_component({.directory = directory, .seed = seed}, parameters_of(model));
}

void write_vae(const Options& options, const nlohmann::ordered_json& config) {
  const fs::path directory = options.output / "vae";
  write_json(directory / "config.json", config);
  models::WanVae model(models::WanVaeConfig::from_json(config, "vae"));
  tools::write_random_component({.directory = directory, .seed = options.seed},
                                parameters_of(model));
}

void write_text_encoder(const Options& options, const nlohmann::ordered_json& config) {
  const fs::path directory = options.output / "text_encoder";
  write_json(directory / "config.json", config);
  models::Umt5Encoder model(models::Umt5Config::from_json(config, "text_encoder"));
  tools::write_random_component({.directory = directory, .stem = "model", .seed = options.seed},
                                parameters_of(model));
}

void write_model(const Options& options) {
  const tools::ModelPreset preset = tools::model_preset(options.variant, options.preset);
  if (fs::exists(options.output) && !fs::is_empty(options.output)) {
    throw Error(Code::kIo, options.output.string() + ": is not empty");
  }
  const auto wanted = [&](const char* name) { return options.components.count(name) > 0; };
  write_json(options.output / "model_index.json", preset.model_index);
  write_transformer(options, preset.transformer, "transformer", options.seed);
  if (preset.two_experts) {
    write_transformer(options, preset.transformer, "transformer_2", options.seed + 1);
  }
  if (wanted("vae")) write_vae(options, preset.vae);
  if (wanted("text_encoder")) write_text_encoder(options, preset.text_encoder);
  if (wanted("tokenizer")) tools::write_tokenizer_files(options.output / "tokenizer", 480);
  if (wanted("scheduler")) {
    write_json(options.output / "scheduler" / "scheduler_config.json", preset.scheduler);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::vector<std::string> components;
  CLI::App app("Writes a model of random weights in the Diffusers layout",
               "mxvideo-make-checkpoint");
  app.add_option("--variant", options.variant, "t2v-a14b, i2v-a14b or ti2v-5b")
      ->capture_default_str();
  app.add_option("--preset", options.preset,
                 "Sizes: demo (seconds on a CPU) or full (as published)")
      ->capture_default_str();
  app.add_option("--output", options.output, "Directory to write; new or empty")->required();
  app.add_option("--seed", options.seed, "Seed of the weights")->capture_default_str();
  app.add_option("--components", components, "Only these components, comma-separated")
      ->delimiter(',')
      ->check(CLI::IsMember(options.components));
  CLI11_PARSE(app, argc, argv);
  if (!components.empty()) options.components = {components.begin(), components.end()};
  try {
    write_model(options);
  } catch (const std::exception& error) {
    std::cerr << "mxvideo-make-checkpoint: " << error.what() << "\n";
    return 1;
  }
  std::cout << options.output.string() << "\n";
  return 0;
}
