// mxvideo-make-checkpoint: a model directory of random weights in the exact Diffusers layout, for
// the demo, for tests of real widths and for benches.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <set>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/field.h"
#include "synthetic/model_preset.h"
#include "synthetic/random_model.h"
#include "tokenizer_files.h"

namespace {

namespace fs = std::filesystem;
using namespace mxvideo;

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

void write_model(const Options& options) {
  const synthetic::ModelPreset preset = synthetic::model_preset(options.variant, options.preset);
  if (fs::exists(options.output) && !fs::is_empty(options.output)) {
    throw Error(Code::kIo, options.output.string() + ": is not empty");
  }
  const auto wanted = [&](const char* name) { return options.components.count(name) > 0; };
  write_json(options.output / "model_index.json", preset.model_index);
  const auto component = [&](const char* name, const nlohmann::ordered_json& config,
                             uint64_t seed) {
    return synthetic::RandomModel{
        .directory = options.output / name, .config = config, .seed = seed};
  };
  if (wanted("transformer")) {
    write_random_transformer(component("transformer", preset.transformer, options.seed));
  }
  if (preset.two_experts && wanted("transformer_2")) {
    write_random_transformer(component("transformer_2", preset.transformer, options.seed + 1));
  }
  if (wanted("vae")) write_random_vae(component("vae", preset.vae, options.seed));
  if (wanted("text_encoder")) {
    write_random_text_encoder(component("text_encoder", preset.text_encoder, options.seed));
  }
  if (wanted("tokenizer")) tools::write_tokenizer_files(options.output / "tokenizer", 480);
  if (wanted("scheduler")) {
    write_json(options.output / "scheduler" / "scheduler_config.json", preset.scheduler);
  }
}

std::string flag_of(std::string_view field) { return "--" + std::string(field); }

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
    std::cerr << "mxvideo-make-checkpoint: " << spell_fields(error.what(), flag_of) << "\n";
    return 1;
  }
  std::cout << options.output.string() << "\n";
  return 0;
}
