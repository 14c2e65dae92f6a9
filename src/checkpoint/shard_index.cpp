#include "checkpoint/shard_index.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "checkpoint/safetensors.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxShards = 1024;
constexpr std::string_view kSuffix = ".safetensors";

bool is_shard_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return name.size() > kSuffix.size() && name.size() <= 255 && name.ends_with(kSuffix) &&
         std::all_of(name.begin(), name.end(), allowed);
}

[[noreturn]] void corrupt(const std::string& origin, const std::string& what) {
  throw Error(Code::kCorruptFile, origin + ": " + what);
}

// True for a decimal number without a sign, which goes to `value`.
bool parse_digits(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && text.front() != '-' && error == std::errc() &&
         end == text.data() + text.size();
}

// Some writers divide, and so store a float; a whole number is meant.
int64_t total_size(const JsonFields& metadata) {
  constexpr const char* kKey = "total_size";
  constexpr double kExactBelow = 1LL << 53;
  const nlohmann::json& value = metadata.raw(kKey);
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (number >= 0 && number < kExactBelow && number == std::floor(number)) {
      return static_cast<int64_t>(number);
    }
  }
  return metadata.integer(kKey, 0, std::numeric_limits<int64_t>::max());
}

}  // namespace

std::set<std::string> ShardIndex::shards() const {
  std::set<std::string> result;
  for (const auto& [name, file] : weight_map) result.insert(file);
  return result;
}

std::string ShardName::sentence() const {
  return "shard " + std::to_string(number) + " of " + std::to_string(count);
}

std::optional<ShardName> parse_shard_name(std::string_view name) {
  constexpr std::string_view kOf = "-of-";
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const size_t of = name.rfind(kOf);
  if (of == name.npos) return std::nullopt;
  const size_t dash = name.rfind('-', of - 1);
  if (of == 0 || dash == name.npos || dash == 0) return std::nullopt;
  ShardName shard{.stem = std::string(name.substr(0, dash))};
  if (!parse_digits(name.substr(dash + 1, of - dash - 1), shard.number) ||
      !parse_digits(name.substr(of + kOf.size()), shard.count)) {
    return std::nullopt;
  }
  return shard;
}

ShardIndex parse_shard_index(std::string_view text, const std::string& origin) {
  const nlohmann::json root = parse_json(text, origin);
  const JsonFields fields(root, origin);
  const nlohmann::json& map = fields.raw("weight_map");
  if (!map.is_object() || map.empty()) {
    corrupt(origin, "weight_map: expected a non-empty object, got " + describe_json(map));
  }
  if (map.size() > kMaxTensorsPerFile) {
    corrupt(origin, "weight_map: " + std::to_string(map.size()) + " tensors, expected at most " +
                        std::to_string(kMaxTensorsPerFile));
  }
  ShardIndex index;
  for (const auto& [name, file] : map.items()) {
    if (name.empty() || name.size() > kMaxTensorNameBytes) {
      corrupt(origin, "weight_map: tensor name of " + std::to_string(name.size()) +
                          " bytes, expected 1 to " + std::to_string(kMaxTensorNameBytes));
    }
    if (!file.is_string() || !is_shard_name(file.get_ref<const std::string&>())) {
      corrupt(origin, "weight_map '" + printable(name) +
                          "': expected a file name like model-00001-of-00002.safetensors, got " +
                          describe_json(file));
    }
    index.weight_map.emplace(name, file.get<std::string>());
  }
  if (index.shards().size() > kMaxShards) {
    corrupt(origin, "weight_map: " + std::to_string(index.shards().size()) +
                        " shards, expected at most " + std::to_string(kMaxShards));
  }
  if (fields.has("metadata")) {
    const JsonFields metadata(fields.raw("metadata"), origin + ": metadata");
    if (metadata.has("total_size")) {
      index.total_size = total_size(metadata);
    }
  }
  return index;
}

ShardIndex read_shard_index(const fs::path& path) {
  return parse_shard_index(read_file(path, JsonLimits{}.max_bytes), path.string());
}

}  // namespace mxvideo::checkpoint
