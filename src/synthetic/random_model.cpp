#include "synthetic/random_model.h"

#include <nlohmann/json.hpp>

#include "base/file/atomic_file.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "synthetic/random_component.h"

namespace mxvideo::synthetic {
namespace {

// `network` has the sizes of the config and no weights yet.
template <class Network>
void write(const RandomModel& model, Network& network, const char* stem) {
  std::filesystem::create_directories(model.directory);
  write_file_atomically(model.directory / "config.json", model.config.dump(2) + "\n");
  checkpoint::ParameterLoader loader;
  network.declare_parameters(loader);
  write_random_component({.directory = model.directory, .stem = stem, .seed = model.seed},
                         loader.declared());
}

constexpr const char* kDiffusersStem = "diffusion_pytorch_model";
constexpr const char* kTransformersStem = "model";

std::string origin(const RandomModel& model) { return model.directory.string(); }

}  // namespace

void write_random_transformer(const RandomModel& model) {
  models::WanTransformer network(
      models::WanTransformerConfig::from_json(model.config, origin(model)),
      *quantization::make_quantization_config({}));
  write(model, network, kDiffusersStem);
}

void write_random_vae(const RandomModel& model) {
  models::WanVae network(models::WanVaeConfig::from_json(model.config, origin(model)));
  write(model, network, kDiffusersStem);
}

void write_random_text_encoder(const RandomModel& model) {
  models::Umt5Encoder network(models::Umt5Config::from_json(model.config, origin(model)));
  write(model, network, kTransformersStem);
}

}  // namespace mxvideo::synthetic
