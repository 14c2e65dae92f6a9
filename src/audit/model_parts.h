// From a path that a user names (a model directory of either layout, a component's directory, one
// safetensors file) to the components that it holds. Thread-safe: no state.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/transformer_checkpoint.h"

namespace mxvideo::audit {

enum class PartKind : uint8_t { kTransformer, kTextEncoder, kVae, kUnknown };
std::string_view part_kind_name(PartKind kind);  // "transformer", "text_encoder", "vae", "unknown"

struct ModelPart {
  std::string name =
      {};  // "transformer", "transformer_2", "text_encoder", "vae", or the file's name
  PartKind kind = PartKind::kUnknown;
  std::filesystem::path weights = {};  // directory or file
  nlohmann::json config = nullptr;     // in Diffusers' words; null when there is none
  std::string config_origin = {};
  std::string config_problem = {};  // why config.json cannot be read; empty when it can
};

// Throws Code::kNotFound, Code::kCorruptFile, Code::kUnsupported as opening a model does; of one
// part alone a config.json that cannot be read is its config_problem.
std::vector<ModelPart> find_model_parts(const std::filesystem::path& path);

// Every folder of `directory` with a checkpoint in it and every safetensors file that is none of
// several shards: what there is where a directory is no model that mxvideo knows.
std::vector<ModelPart> parts_below(const std::filesystem::path& directory);

// The part's tensors as they are named in the files.
checkpoint::Checkpoint open_weights(const ModelPart& part);
// The part's tensors under Hugging Face names; with what it declares if it is a transformer.
checkpoint::TransformerCheckpoint open_part(const ModelPart& part);

// Runs `action`; what it throws about the files goes to `problems`. True when it threw nothing.
template <class Action>
bool collect_problem(std::vector<std::string>& problems, const Action& action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    if (error.code() == Code::kInternal || error.code() == Code::kOutOfMemory) throw;
    problems.emplace_back(error.what());
    return false;
  }
}

}  // namespace mxvideo::audit
