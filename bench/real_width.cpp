// mxvideo_real_width: one forward of the true Wan2.2-TI2V-5B transformer (30 layers, dim 3072, ffn
// 14336) on random weights. Writes its checkpoint (10 GB in BF16) into a directory, loads it under
// a scheme, runs a forward, prints one JSON object with seconds and peak memory, removes the
// directory.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/memory_usage.h"
#include "base/parallel.h"
#include "checkpoint/checkpoint.h"
#include "models/wan_transformer/wan_transformer.h"
#include "synthetic/model_preset.h"
#include "synthetic/random_component.h"

namespace mxvideo::bench {
namespace {

namespace fs = std::filesystem;
using models::WanTransformer;
using models::WanTransformerConfig;

struct Options {
  fs::path directory = "build/real-width";
  std::string scheme = "mxfp8";
  int64_t layers = 30;
  std::vector<int64_t> latent = {3, 16, 26};  // frames, height, width
  bool keep = false;
};

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

WanTransformerConfig true_config(int64_t layers) {
  auto json = synthetic::model_preset("ti2v-5b", "full").transformer;
  json["num_layers"] = layers;
  return WanTransformerConfig::from_json(json, "TI2V-5B");
}

void write_checkpoint(const Options& options) {
  const auto none = quantization::make_quantization_config({});
  WanTransformer model(true_config(options.layers), *none);
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  synthetic::write_random_component({.directory = options.directory, .seed = 1}, loader.declared());
}

// Multiply-adds of all matrix products, two operations each.
double forward_flops(const WanTransformerConfig& config, int64_t tokens, int64_t text_rows) {
  const auto d = static_cast<double>(config.dim()), f = static_cast<double>(config.ffn_dim);
  const auto t = static_cast<double>(tokens), r = static_cast<double>(text_rows);
  const double linears = t * (6 * d * d + 2 * d * f);  // K and V of the text: once per prompt
  const double attention = 2 * t * t * d + 2 * t * r * d;
  return 2 * static_cast<double>(config.num_layers) * (linears + attention);
}

nlohmann::ordered_json measure(const Options& options) {
  const auto scheme = quantization::make_quantization_config(
      {.scheme = options.scheme, .ignored_layers = {}, .mx = {}});
  const WanTransformerConfig config = true_config(options.layers);
  WanTransformer model(config, *scheme);
  const int64_t resident_before = resident_bytes();
  reset_peak_resident_bytes();
  const Stopwatch load_time;
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  const auto report = loader.load(checkpoint::Checkpoint::open_directory(options.directory));
  const double load_seconds = load_time.seconds();
  const int64_t load_peak = peak_resident_bytes() - resident_before;
  trim_heap();

  constexpr int64_t kTextRows = 512;
  Tensor latents =
      Tensor::zeros({config.in_channels, options.latent[0], options.latent[1], options.latent[2]});
  for (int64_t i = 0; i < latents.count(); ++i) {
    latents.f32()[i] = static_cast<float>((i * 7919) % 4001) / 2000.0f - 1.0f;
  }
  const Tensor text = Tensor::zeros({kTextRows, config.text_dim});
  const int64_t tokens = model.token_count(latents.shape());
  models::WanTransformerWorkspace workspace(model, latents.shape(), kTextRows);
  kernels::Context context;
  const models::WanTextContext prompt = model.encode_text({.text = &text}, context);
  reset_peak_resident_bytes();
  const Stopwatch forward_time;
  const std::vector<Tensor> output = model.forward({.latents = &latents,
                                                    .timesteps = {999.0f},
                                                    .token_timestep = {},
                                                    .texts = {&prompt},
                                                    .cancellation = nullptr,
                                                    .probe = nullptr},
                                                   workspace, context);
  const double forward_seconds = forward_time.seconds();
  for (float value : output[0].values()) check(std::isfinite(value), "the output is finite");
  return {{"model", "TI2V-5B"},
          {"scheme", options.scheme},
          {"layers", options.layers},
          {"tokens", tokens},
          {"threads", num_threads()},
          {"cpu", cpu_model_name()},
          {"checkpoint_bytes", report.checkpoint_bytes},
          {"weight_bytes", model.weight_bytes()},
          {"load_seconds", load_seconds},
          {"load_peak_rss_bytes", load_peak},
          {"forward_seconds", forward_seconds},
          {"forward_gflops", forward_flops(config, tokens, kTextRows) / forward_seconds * 1e-9},
          {"peak_rss_bytes", peak_resident_bytes()}};
}

}  // namespace
}  // namespace mxvideo::bench

int main(int argc, char** argv) {
  mxvideo::bench::Options options;
  CLI::App app("One forward of the true TI2V-5B transformer on random weights",
               "mxvideo_real_width");
  app.add_option("--directory", options.directory, "Where the checkpoint goes")
      ->capture_default_str();
  app.add_option("--quantization", options.scheme, "none or mxfp8")->capture_default_str();
  app.add_option("--layers", options.layers, "Blocks, 30 in the true model")->capture_default_str();
  app.add_option("--latent", options.latent, "Latent frames, height, width")->expected(3);
  app.add_flag("--keep", options.keep, "Keep the checkpoint, and use the one that is there");
  CLI11_PARSE(app, argc, argv);
  try {
    if (!options.keep || !std::filesystem::exists(options.directory)) {
      std::filesystem::remove_all(options.directory);
      mxvideo::bench::write_checkpoint(options);
    }
    std::cout << mxvideo::bench::measure(options).dump(2) << "\n";
    if (!options.keep) std::filesystem::remove_all(options.directory);
  } catch (const std::exception& error) {
    std::cerr << "mxvideo_real_width: " << error.what() << "\n";
    if (!options.keep) std::filesystem::remove_all(options.directory);
    return 1;
  }
  return 0;
}
