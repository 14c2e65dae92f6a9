// Input: the text of a *.safetensors.index.json. What is accepted names files that stay in their
// folder, and says the same when it is written again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "checkpoint/shard_index.h"

namespace {

using mxvideo::checkpoint::ShardIndex;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

void require_file_name(const std::string& name) {
  require(name.ends_with(".safetensors") && name.size() > 12);
  require(std::all_of(name.begin(), name.end(), is_plain));
}

std::string text_of(const ShardIndex& index) {
  nlohmann::json json = {{"metadata", nlohmann::json::object()}, {"weight_map", index.weight_map}};
  if (index.total_size) json["metadata"]["total_size"] = *index.total_size;
  return json.dump();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ShardIndex index;
  try {
    index = mxvideo::checkpoint::parse_shard_index(text, "input");
  } catch (const mxvideo::Error& error) {
    require(std::string_view(error.what()).find('\n') == std::string_view::npos);
    require(error.code() == mxvideo::Code::kCorruptFile);
    return 0;
  }
  require(!index.weight_map.empty() && (!index.total_size || *index.total_size >= 0));
  for (const std::string& shard : index.shards()) require_file_name(shard);
  for (const auto& [tensor, shard] : index.weight_map) {
    require(!tensor.empty() && index.shards().contains(shard));
  }
  const ShardIndex again = mxvideo::checkpoint::parse_shard_index(text_of(index), "again");
  require(again.weight_map == index.weight_map && again.total_size == index.total_size);
  return 0;
}
