#include "bench/model/loaded_transformer.h"

namespace mxvideo::bench {

LoadedTransformer load_transformer(const ModelDirectory& directory, const std::string& scheme) {
  const auto config = models::WanTransformerConfig::from_json(
      directory.config(), (directory.path() / "config.json").string());
  const auto quantization =
      quantization::make_quantization_config({.scheme = scheme, .ignored_layers = {}, .mx = {}});
  LoadedTransformer loaded;
  loaded.model = std::make_unique<models::WanTransformer>(config, *quantization);
  checkpoint::ParameterLoader loader;
  loaded.model->declare_parameters(loader);
  loaded.report = loader.load(checkpoint::Checkpoint::open_directory(directory.path()));
  return loaded;
}

}  // namespace mxvideo::bench
