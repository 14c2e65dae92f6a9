// From the text after --model-path to a directory on this machine: a local directory, or
// "org/name[@revision]" in the caches of Hugging Face and ModelScope. Never the network, never
// another revision than the one asked for. Thread-safe: no state.
// Source: huggingface_hub constants.py, file_download.py, _validators.py, _tree_cache.py.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/snapshot.h"

namespace mxvideo::checkpoint {

// Environment variables by name. The library never reads the environment itself.
using Environment = std::map<std::string, std::string, std::less<>>;

struct CacheLocations {
  std::filesystem::path hugging_face;             // the hub folder; empty: none
  std::vector<std::filesystem::path> modelscope;  // folders that may hold org/name, in order
};

// The first hit of HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
// XDG_CACHE_HOME/huggingface/hub, HOME/.cache/huggingface/hub; MODELSCOPE_CACHE or
// HOME/.cache/modelscope. "~" and "$NAME" in the values are expanded.
CacheLocations cache_locations(const Environment& environment);

struct ResolvedModel {
  std::filesystem::path directory;
  std::string repository;  // "org/name"; empty for a local directory
  std::string revision;    // as asked for; "main" by default; empty for a local directory
  std::string commit;      // 40 hex digits in the Hugging Face cache, empty otherwise
};

// A commit may be cut to 7 digits or more. Of a snapshot only what `needs` says must be there.
// Throws Code::kInvalidArgument for a text that is neither a path nor a repository id,
// Code::kNotFound for an absent model, revision or file (naming what was searched, what is there
// and the command that downloads it), Code::kCorruptFile for a cache that contradicts itself,
// Code::kUnsupported for links that leave it.
ResolvedModel resolve_model_path(const std::string& text, const CacheLocations& caches,
                                 const ModelNeeds& needs = {});

// True for "org/name[@revision]" of a repository that one of the caches has.
bool is_cached_model(const std::string& text, const CacheLocations& caches);

}  // namespace mxvideo::checkpoint
