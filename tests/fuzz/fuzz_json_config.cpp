// Input: the text of a JSON file. It goes through every reader of configurations: the strict
// parser, the shard index, model_index.json and the transformer configs.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/text/json.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/wan/model_index.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Everything but an Error of these codes is a defect.
template <class Read>
bool accepts(Read read) {
  try {
    read();
    return true;
  } catch (const mxvideo::Error& error) {
    require(std::string_view(error.what()).find('\n') == std::string_view::npos);
    require(error.code() == mxvideo::Code::kCorruptFile ||
            error.code() == mxvideo::Code::kUnsupported);
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace checkpoint = mxvideo::checkpoint;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  nlohmann::json json;
  if (!accepts([&] { json = mxvideo::parse_json(text, "input"); })) return 0;
  // What is accepted is the value that the library itself reads.
  require(json == nlohmann::json::parse(text));
  accepts([&] {
    const checkpoint::ShardIndex index = checkpoint::parse_shard_index(text, "input");
    for (const auto& shard : index.shards()) require(shard.find('/') == std::string::npos);
  });
  accepts([&] {
    const checkpoint::ModelIndex index = checkpoint::parse_model_index(text, "input");
    accepts([&] { checkpoint::detect_variant(index, json, "input"); });
  });
  accepts([&] { checkpoint::transformer_config_from_wan(json, "input"); });
  return 0;
}
