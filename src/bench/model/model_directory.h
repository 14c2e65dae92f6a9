// Where the models of benches come from: one that the user names, or random weights of the true
// TI2V-5B widths, which are written for the run and removed after it unless they are to be kept.
// Errors: Code::kInvalidArgument when a directory to be kept holds something else, Code::kIo, and
// what reading a config throws.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace mxvideo::bench {

struct ModelLocation {
  std::filesystem::path model_path;  // component or whole model; empty: random weights
  std::filesystem::path keep;        // random weights stay here and are used again; empty: removed
  std::filesystem::path temporary;   // where a directory is made for those that are removed
};

// A component's directory. Removes what it made, unless that was to be kept.
class ModelDirectory {
 public:
  // The transformer of TI2V-5B with `layers` blocks, 1 to 30; without random weights that of
  // location.model_path, whatever it has.
  static ModelDirectory transformer(const ModelLocation& location, int64_t layers);
  // UMT5-XXL with `layers` blocks, 1 to 24, and a short table of embeddings, which are looked up.
  static ModelDirectory text_encoder(const ModelLocation& location, int64_t layers);
  // The VAE of TI2V-5B.
  static ModelDirectory vae(const ModelLocation& location);
  ~ModelDirectory();
  ModelDirectory(ModelDirectory&& other) noexcept;
  ModelDirectory& operator=(ModelDirectory&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const nlohmann::json& config() const { return config_; }

 private:
  ModelDirectory() = default;
  // Opens or writes; `write` is called for a directory without config.json.
  template <class Write>
  static ModelDirectory make(const ModelLocation& location, const char* component,
                             const nlohmann::ordered_json& config, Write write);

  std::filesystem::path path_;
  std::filesystem::path remove_;  // empty: nothing
  nlohmann::json config_;
};

}  // namespace mxvideo::bench
