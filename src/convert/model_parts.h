// From a path that a user names (a model directory of either layout, a component's directory, one
// safetensors file) to the components that it holds. Thread-safe: no state.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/transformer_checkpoint.h"

namespace mxvideo::convert {

enum class PartKind : uint8_t { kTransformer, kTextEncoder, kVae, kUnknown };
std::string_view part_kind_name(PartKind kind);  // "transformer", "text_encoder", "vae", "unknown"

struct ModelPart {
  std::string name =
      {};  // "transformer", "transformer_2", "text_encoder", "vae", or the file's name
  PartKind kind = PartKind::kUnknown;
  std::filesystem::path weights = {};  // directory or file
  nlohmann::json config = nullptr;     // in Diffusers' words; null when there is none
  std::string config_origin = {};
};

// Throws Code::kNotFound, Code::kCorruptFile, Code::kUnsupported as opening a model does.
std::vector<ModelPart> find_model_parts(const std::filesystem::path& path);

// The part's tensors under Hugging Face names; with what it declares if it is a transformer.
checkpoint::TransformerCheckpoint open_part(const ModelPart& part);

}  // namespace mxvideo::convert
