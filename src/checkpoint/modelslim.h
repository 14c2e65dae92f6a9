// quant_model_description*.json: what msmodelslim says about each tensor of an export, one flat
// object from tensor (or module) name to type. Thread-safe: no state.
// Source: Ascend/msmodelslim mindie_format saver; SGLang tools/wan_repack.py. W8A8_MXINT8 is ours,
// in the same style: no other program writes or reads it.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "formats/mx_block.h"

namespace mxvideo::checkpoint {

inline constexpr std::string_view kModelSlimFloat = "FLOAT";

// "W8A8_MXFP8", "W8A8_MXINT8".
std::string_view modelslim_type(formats::MxElement element);
// The element of such a type; nullopt for every other.
std::optional<formats::MxElement> modelslim_element(std::string_view type);

struct ModelSlimDescription {
  std::map<std::string, std::string> types;  // name as in the file -> "FLOAT", "W8A8_MXFP8", …
  // Members that are no types: model_quant_type, version, metadata, timestep_policy, …
  nlohmann::json other = nlohmann::json::object();
};

// quant_model_description.json, else the one file that matches quant_model_description*.json; none:
// nullopt. Throws Code::kCorruptFile when several match, listing them.
std::optional<std::filesystem::path> find_modelslim_description(
    const std::filesystem::path& directory);

// Throws Code::kCorruptFile.
ModelSlimDescription parse_modelslim_description(std::string_view text, const std::string& origin);
ModelSlimDescription read_modelslim_description(const std::filesystem::path& path);

// The file's text: members of `other` first, then types in the order of names; indented by 2.
std::string modelslim_description_text(const ModelSlimDescription& description);

// Every name of `types` in canonical names (canonical_transformer_name), whichever style it has:
// exports repacked by SGLang keep names of original style where no tensor has that name.
// Throws Code::kCorruptFile when two names become one.
ModelSlimDescription canonical_description(const ModelSlimDescription& description,
                                           const std::string& origin);

}  // namespace mxvideo::checkpoint
