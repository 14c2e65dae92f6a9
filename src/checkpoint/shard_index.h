// The index of a sharded checkpoint (*.safetensors.index.json): which tensor lies in which file.
// Thread-safe: no state. Source: the format written by transformers and diffusers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace mxvideo::checkpoint {

struct ShardIndex {
  std::map<std::string, std::string> weight_map;  // tensor name -> file name
  std::optional<int64_t> total_size;              // bytes of all tensors
  std::set<std::string> shards() const;           // the file names, each once
};

// "<stem>-00001-of-00002.safetensors", as transformers and diffusers name shards.
struct ShardName {
  std::string stem;
  int64_t number = 0, count = 0;
  std::string sentence() const;  // "shard 1 of 2"
};
// nullopt for every other name.
std::optional<ShardName> parse_shard_name(std::string_view name);

// Throws Code::kCorruptFile. File names are one path component [A-Za-z0-9._-]+.safetensors.
ShardIndex parse_shard_index(std::string_view text, const std::string& origin);
ShardIndex read_shard_index(const std::filesystem::path& path);

}  // namespace mxvideo::checkpoint
