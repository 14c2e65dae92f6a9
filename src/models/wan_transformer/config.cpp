#include <string>

#include "base/error.h"
#include "base/text/json.h"
#include "models/wan_transformer/wan_transformer.h"

namespace mxvideo::models {
namespace {

// Larger than any published Wan by a factor of eight or more; a hostile config stops here.
constexpr int64_t kMaxChannels = 4096;
constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxHeadDim = 1024;
constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxWidth = 1 << 18;

[[noreturn]] void unsupported(const std::string& origin, const std::string& what) {
  throw Error(Code::kUnsupported, origin + ": " + what);
}

// Wan2.2 has no image cross-attention. An early upload of I2V-A14B carries these two fields all the
// same, without the tensors; the key-set check decides then.
void check_features(const JsonFields& fields) {
  if (fields.string_or("qk_norm", "rms_norm_across_heads") != "rms_norm_across_heads") {
    unsupported(fields.origin(),
                "qk_norm '" + fields.string("qk_norm") + "'; expected rms_norm_across_heads");
  }
  if (!fields.boolean_or("cross_attn_norm", true)) {
    unsupported(fields.origin(), "cross_attn_norm false; expected true");
  }
  if (fields.has("pos_embed_seq_len")) {
    unsupported(fields.origin(), "pos_embed_seq_len is set: image embeddings are a Wan2.1 feature");
  }
}

WanTransformerConfig from_diffusers(const JsonFields& fields) {
  check_features(fields);
  WanTransformerConfig config;
  config.in_channels = fields.integer("in_channels", 1, kMaxChannels);
  config.out_channels = fields.integer("out_channels", 1, kMaxChannels);
  config.num_heads = fields.integer("num_attention_heads", 1, kMaxHeads);
  config.head_dim = fields.integer("attention_head_dim", 1, kMaxHeadDim);
  config.num_layers = fields.integer("num_layers", 1, kMaxLayers);
  config.ffn_dim = fields.integer("ffn_dim", 1, kMaxWidth);
  config.text_dim = fields.integer("text_dim", 1, kMaxWidth);
  config.freq_dim = fields.integer("freq_dim", 2, kMaxWidth);
  config.rope_max_seq_len = fields.integer_or("rope_max_seq_len", 1024, 1, kMaxWidth);
  config.eps = static_cast<float>(fields.number_or("eps", 1e-6, 1e-12, 1e-1));
  const std::vector<int64_t> patch = fields.integers("patch_size", 1, 64);
  if (patch.size() != 3) {
    throw Error(Code::kCorruptFile, fields.origin() + ": patch_size: expected 3 numbers, got " +
                                        std::to_string(patch.size()));
  }
  config.patch_size = {patch[0], patch[1], patch[2]};
  return config;
}

}  // namespace

WanTransformerConfig WanTransformerConfig::from_json(const nlohmann::json& json,
                                                     const std::string& origin) {
  const JsonFields fields(json, origin);
  const std::string class_name = fields.string("_class_name");
  if (class_name != "WanTransformer3DModel") {
    unsupported(origin, "_class_name '" + class_name + "'; expected WanTransformer3DModel");
  }
  const WanTransformerConfig config = from_diffusers(fields);
  if (config.head_dim % 2 != 0 || config.head_dim < 6) {
    unsupported(origin, "head dimension " + std::to_string(config.head_dim) +
                            "; rotary embedding over t, h, w needs an even number of 6 or more");
  }
  if (config.freq_dim % 2 != 0) {
    unsupported(origin,
                "freq_dim " + std::to_string(config.freq_dim) + "; expected an even number");
  }
  return config;
}

}  // namespace mxvideo::models
