// "quantization_config" objects: in config.json, hf_quant_config.json or quantization_config.json
// of a directory and in the metadata of the files. Thread-safe: no state.
#pragma once

#include <filesystem>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "checkpoint/declaration/quantization_declaration.h"

namespace mxvideo::checkpoint {

inline constexpr const char* kQuantizationConfigKey = "quantization_config";

// Where `directory` or the metadata of `checkpoint` hold such an object; empty without one.
std::string find_config_declaration(const std::filesystem::path& directory,
                                    const Checkpoint& checkpoint);

// What they say about the layers of `checkpoint`, whose names are canonical; nullopt without one.
// Throws Code::kCorruptFile for broken ones, for several that say different things and for layers
// that are stored quantized and named as left out; Code::kUnsupported for a quant_method that is
// not known where nothing that can be listed is stored.
std::optional<QuantizationDeclaration> config_declaration(const std::filesystem::path& directory,
                                                          const Checkpoint& checkpoint);

}  // namespace mxvideo::checkpoint
