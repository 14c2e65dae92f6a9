// Completeness of one snapshot in a Hugging Face cache repository
// (models--org--name/{blobs,refs,snapshots,trees}), as far as somebody reads it. Thread-safe: no
// state.
// Source: huggingface_hub _tree_cache.py, _snapshot_download.py; names of variants
// (diffusion_pytorch_model.fp16.safetensors) from diffusers model_loading_utils.py.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace mxvideo::checkpoint {

// Which components of a model somebody is going to read; by their names in Diffusers.
struct ModelNeeds {
  std::map<std::string, bool> components = {};
  bool others = true;  // those that are not in `components`

  bool reads(const std::string& component) const {
    const auto found = components.find(component);
    return found == components.end() ? others : found->second;
  }
};

// For who takes what is there, and for paths that replace a part of a model.
inline ModelNeeds needs_nothing() { return {.components = {}, .others = false}; }

// Compares the files of snapshots/<commit> that the components in `needs` are read from with
// trees/<commit>.json (presence and size) when that exists, otherwise with what model_index.json
// and the shard indexes name. Other variants, formats and pictures need not be there, nor may
// spiece.model where a tokenizer.json is. Throws Code::kNotFound listing absent files and
// unfinished downloads, with `download_command` as the cure; Code::kCorruptFile when a file has the
// wrong size, Code::kUnsupported when a link leads out of the repository.
void check_snapshot_complete(const std::filesystem::path& repository, const std::string& commit,
                             const ModelNeeds& needs, const std::string& download_command);

}  // namespace mxvideo::checkpoint
