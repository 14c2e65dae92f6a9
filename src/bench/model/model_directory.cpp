#include "bench/model/model_directory.h"

#include <stdlib.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/system/system_error.h"
#include "base/text/field.h"
#include "base/text/json.h"
#include "synthetic/model_preset.h"
#include "synthetic/random_model.h"

namespace mxvideo::bench {
namespace {

namespace fs = std::filesystem;

synthetic::ModelPreset preset() { return synthetic::model_preset("ti2v-5b", "full"); }

fs::path make_temporary(const fs::path& parent) {
  std::string name = (parent / "mxvideo-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw system_error(name, "cannot make it", errno);
  return name;
}

}  // namespace

template <class Write>
ModelDirectory ModelDirectory::make(const ModelLocation& location, const char* component,
                                    const nlohmann::ordered_json& config, Write write) {
  ModelDirectory result;
  const auto config_file = [&] { return result.path_ / "config.json"; };
  if (!location.model_path.empty()) {
    const bool whole = fs::exists(location.model_path / component / "config.json");
    result.path_ = whole ? location.model_path / component : location.model_path;
    result.config_ = read_json_file(config_file());
    return result;
  }
  if (location.keep.empty()) {
    result.remove_ = result.path_ = make_temporary(location.temporary);
  } else {
    result.path_ = location.keep / component;
  }
  if (fs::exists(config_file())) {
    result.config_ = read_json_file(config_file());
    if (result.config_ != nlohmann::json(config)) {
      throw Error(Code::kInvalidArgument, field("keep") + " " + location.keep.string() +
                                              ": expected the model of this bench, got another");
    }
    return result;
  }
  if (fs::exists(result.path_) && !fs::is_empty(result.path_)) {
    throw Error(Code::kInvalidArgument, field("keep") + " " + location.keep.string() +
                                            ": expected a model of a bench or nothing");
  }
  write({.directory = result.path_, .config = config, .seed = 1});
  result.config_ = config;
  return result;
}

ModelDirectory ModelDirectory::transformer(const ModelLocation& location, int64_t layers) {
  nlohmann::ordered_json config = preset().transformer;
  config["num_layers"] = layers;
  return make(location, "transformer", config, synthetic::write_random_transformer);
}

ModelDirectory ModelDirectory::text_encoder(const ModelLocation& location, int64_t layers) {
  nlohmann::ordered_json config = preset().text_encoder;
  config["num_layers"] = layers;
  config["vocab_size"] = 4096;
  return make(location, "text_encoder", config, synthetic::write_random_text_encoder);
}

ModelDirectory ModelDirectory::vae(const ModelLocation& location) {
  return make(location, "vae", preset().vae, synthetic::write_random_vae);
}

ModelDirectory::ModelDirectory(ModelDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      remove_(std::exchange(other.remove_, {})),
      config_(std::move(other.config_)) {}

ModelDirectory::~ModelDirectory() {
  std::error_code ignored;  // a temporary directory; nothing else can be done here
  if (!remove_.empty()) fs::remove_all(remove_, ignored);
}

}  // namespace mxvideo::bench
