#include <string>

#include "base/error.h"
#include "base/text/json.h"
#include "models/umt5/umt5_encoder.h"

namespace mxvideo::models {
namespace {

constexpr int64_t kMaxVocabulary = 1 << 24;
constexpr int64_t kMaxDimension = 1 << 17;
constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxBuckets = 4096;
constexpr int64_t kMaxDistance = 1 << 20;

void require(const JsonFields& fields, const std::string& key, const std::string& expected) {
  const std::string value = fields.string_or(key, expected);
  if (value != expected) {
    throw Error(Code::kUnsupported, fields.origin() + ": " + key + " is '" + value +
                                        "', expected '" + expected + "' (UMT5)");
  }
}

}  // namespace

Umt5Config Umt5Config::from_json(const nlohmann::json& json, const std::string& origin) {
  const JsonFields fields(json, origin);
  require(fields, "model_type", "umt5");
  require(fields, "feed_forward_proj", "gated-gelu");
  require(fields, "dense_act_fn", "gelu_new");

  Umt5Config config;
  config.vocab_size = fields.integer("vocab_size", 1, kMaxVocabulary);
  config.d_model = fields.integer("d_model", 1, kMaxDimension);
  config.d_kv = fields.integer("d_kv", 1, kMaxDimension);
  config.d_ff = fields.integer("d_ff", 1, kMaxDimension);
  config.num_layers = fields.integer("num_layers", 1, kMaxLayers);
  config.num_heads = fields.integer("num_heads", 1, kMaxHeads);
  config.relative_attention_num_buckets =
      fields.integer_or("relative_attention_num_buckets", 32, 4, kMaxBuckets);
  config.relative_attention_max_distance =
      fields.integer_or("relative_attention_max_distance", 128, 1, kMaxDistance);
  config.layer_norm_epsilon =
      static_cast<float>(fields.number_or("layer_norm_epsilon", 1e-6, 0, 1));
  if (config.num_heads * config.d_kv > kMaxDimension) {
    throw Error(Code::kCorruptFile, origin + ": num_heads times d_kv is " +
                                        std::to_string(config.num_heads * config.d_kv) +
                                        ", expected at most " + std::to_string(kMaxDimension));
  }
  const int64_t exact = config.relative_attention_num_buckets / 4;
  if (config.relative_attention_num_buckets % 2 != 0 ||
      config.relative_attention_max_distance <= exact) {
    throw Error(Code::kCorruptFile,
                origin + ": relative_attention_num_buckets is " +
                    std::to_string(config.relative_attention_num_buckets) +
                    " with relative_attention_max_distance " +
                    std::to_string(config.relative_attention_max_distance) +
                    ", expected an even number whose quarter is below the distance");
  }
  return config;
}

}  // namespace mxvideo::models
