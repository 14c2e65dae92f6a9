// Names, files, scale order, description and config of a transformer in each layout of output.
// Pure functions.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "checkpoint/modelslim.h"
#include "convert/layout.h"
#include "convert/transformer_source.h"
#include "formats/scale_layout.h"

namespace mxvideo::convert {

struct TargetFiles {
  std::filesystem::path folder;  // relative to the output; empty: the output itself
  std::string stem;              // of the weights: <stem>.safetensors or <stem>-0000i-of-0000n
  std::string description;       // file name; empty: none
  bool config = true;            // whether a config.json belongs there
  bool one_file = false;         // never sharded
};

// `quantized`: the format of most layers; nullopt for a float model.
TargetFiles target_files(Layout layout, checkpoint::WanVariant variant,
                         const std::string& component, std::optional<formats::MxElement> quantized);

// The format of most of these layers, MXFP8 when it is a tie; nullopt without any.
std::optional<formats::MxElement> dominant_element(const MxLayers& layers);

// Why the layout cannot hold layers of this format; empty when it can.
std::string refuse_element(Layout layout, formats::MxElement element);

// Likewise of layers whose weights are quantized and whose activations are not.
std::string refuse_weight_only(Layout layout);

// The name in this layout of a tensor, layer or description entry.
std::string target_name(Layout layout, const std::string& canonical);

formats::ScaleLayout target_scale_layout(Layout layout);
Shape target_scale_shape(Layout layout, const formats::ScaleGrid& grid);

// `canonical` under the names of the layout.
checkpoint::ModelSlimDescription target_description(
    Layout layout, const checkpoint::ModelSlimDescription& canonical);

// The key of the metadata of a ComfyUI file under which a description survives, canonical.
inline constexpr const char* kDescriptionMetadataKey = "quant_model_description";

// The key under which files of the other layouts keep the text of a WanModel's config.json, where
// that is not what target_config_text() would make anyway.
inline constexpr const char* kWanConfigMetadataKey = "wan_model_config";

// That text, for the files that are made of `source`; empty: nothing to keep.
std::string wan_config_to_keep(const TransformerSource& source, checkpoint::WanVariant variant);

// Text of config.json: the bytes of `preferred`'s file or of `own`'s when it is in the words of
// this layout, else what wan_config_to_keep() kept, else made from `preferred` or `own`.
// `preferred` may be null. Throws Code::kInvalidArgument when the number of heads is known from
// neither.
std::string target_config_text(Layout layout, checkpoint::WanVariant variant,
                               const TransformerSource& source, const TransformerConfig* preferred);

}  // namespace mxvideo::convert
