// What a model directory holds: its pipeline class, components and variant. Two layouts: Diffusers
// (model_index.json and a folder per component) and original Wan (high_noise_model/ and
// low_noise_model/, or one WanModel in the root).
// Thread-safe: no state. Sources: diffusers pipeline_wan.py, pipeline_wan_i2v.py;
// Wan-Video/Wan2.2 wan/configs.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace mxvideo::checkpoint {

enum class WanVariant {
  kT2V,   // text to video; input channels = latent channels
  kI2V,   // image to video; noise, mask and image latents stacked along the channels
  kTI2V,  // text or image to video; one timestep per token ("expand_timesteps")
};
std::string_view variant_name(WanVariant variant);  // "T2V", "I2V", "TI2V"

enum class ModelLayout { kDiffusers, kOriginal };

struct ComponentClass {
  std::string library;     // "diffusers", "transformers"
  std::string class_name;  // "WanTransformer3DModel", …
};

// model_index.json.
struct ModelIndex {
  std::string class_name;                            // "WanPipeline", "WanImageToVideoPipeline"
  std::map<std::string, ComponentClass> components;  // those that are not null
  std::optional<double> boundary_ratio;              // present exactly when transformer_2 is
  bool expand_timesteps = false;
};

// Throw Code::kCorruptFile for senseless content, Code::kUnsupported for pipelines, components and
// options that mxvideo does not have.
ModelIndex parse_model_index(std::string_view text, const std::string& origin);
ModelIndex read_model_index(const std::filesystem::path& path);

// The variant that the pipeline and its options stand for.
WanVariant variant_of_index(const ModelIndex& index);

// The same, if the channels of transformer/config.json fit it.
WanVariant detect_variant(const ModelIndex& index, const nlohmann::json& transformer_config,
                          const std::string& origin);

// The config of an original WanModel in the words of transformer/config.json.
nlohmann::json transformer_config_from_wan(const nlohmann::json& wan_config,
                                           const std::string& origin);

struct ModelDirectory {
  std::filesystem::path root;
  ModelLayout layout = ModelLayout::kDiffusers;
  WanVariant variant = WanVariant::kT2V;
  ModelIndex index;
  // Folder of each component, or the file of those that are one file in the original layout. In
  // the original layout "vae", "text_encoder" and "tokenizer" are listed only if they are there.
  std::map<std::string, std::filesystem::path> paths;

  bool has(const std::string& component) const { return paths.count(component) > 0; }
  // Throws Code::kNotFound naming the component and what was expected for it.
  const std::filesystem::path& path(const std::string& component) const;
  // Puts another directory in the place of a component. Without a config.json of its own it keeps
  // the one of the model.
  void override_component(const std::string& component, const std::filesystem::path& directory);
  std::filesystem::path config_path(const std::string& component) const;
  // transformer or transformer_2: its config in Diffusers words, whatever the layout.
  nlohmann::json transformer_config(const std::string& component) const;

  // Of components whose config.json does not lie in their own folder.
  std::map<std::string, std::filesystem::path> config_paths;
};

// Throws Code::kNotFound when the directory or one of its components is absent, and what the
// functions above throw. The folders of `replaced` components, which will be read from elsewhere,
// need not be there; a transformer without a config.json takes that of the other expert.
ModelDirectory open_model_directory(const std::filesystem::path& root,
                                    const std::set<std::string>& replaced = {});

}  // namespace mxvideo::checkpoint
