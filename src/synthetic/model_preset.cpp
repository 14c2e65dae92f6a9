#include "synthetic/model_preset.h"

#include <vector>

#include "base/error.h"
#include "base/text/field.h"

namespace mxvideo::synthetic {
namespace {

using Json = nlohmann::ordered_json;

struct VariantFacts {
  const char* pipeline_class;
  int64_t in_channels, out_channels;
  int64_t full_heads, full_layers, full_ffn;
  double boundary_ratio;  // 0: one expert
  double flow_shift;
  bool vae_2_2;
};

VariantFacts variant_facts(const std::string& variant) {
  if (variant == "t2v-a14b") return {"WanPipeline", 16, 16, 40, 40, 13824, 0.875, 3.0, false};
  if (variant == "i2v-a14b") {
    return {"WanImageToVideoPipeline", 36, 16, 40, 40, 13824, 0.9, 3.0, false};
  }
  if (variant == "ti2v-5b") return {"WanPipeline", 48, 48, 24, 30, 14336, 0, 5.0, true};
  throw Error(Code::kInvalidArgument, field("variant") + ": unknown '" + variant +
                                          "'; expected t2v-a14b, i2v-a14b or ti2v-5b");
}

Json model_index(const VariantFacts& facts) {
  const Json none = Json::array({nullptr, nullptr});
  Json index = {{"_class_name", facts.pipeline_class}, {"_diffusers_version", "0.42.1"}};
  if (facts.boundary_ratio > 0) {
    index["boundary_ratio"] = facts.boundary_ratio;
  } else {
    index["boundary_ratio"] = nullptr;
  }
  index["expand_timesteps"] = facts.vae_2_2;
  if (std::string(facts.pipeline_class) == "WanImageToVideoPipeline") {
    index["image_encoder"] = none;
    index["image_processor"] = none;
  }
  index["scheduler"] = {"diffusers", "UniPCMultistepScheduler"};
  index["text_encoder"] = {"transformers", "UMT5EncoderModel"};
  index["tokenizer"] = {"transformers", "T5TokenizerFast"};
  index["transformer"] = {"diffusers", "WanTransformer3DModel"};
  index["transformer_2"] =
      facts.boundary_ratio > 0 ? Json({"diffusers", "WanTransformer3DModel"}) : none;
  index["vae"] = {"diffusers", "AutoencoderKLWan"};
  return index;
}

Json transformer(const VariantFacts& facts, bool full) {
  return {{"_class_name", "WanTransformer3DModel"},
          {"added_kv_proj_dim", nullptr},
          {"attention_head_dim", full ? 128 : 64},
          {"cross_attn_norm", true},
          {"eps", 1e-6},
          {"ffn_dim", full ? facts.full_ffn : 704},
          {"freq_dim", 256},
          {"image_dim", nullptr},
          {"in_channels", facts.in_channels},
          {"num_attention_heads", full ? facts.full_heads : 4},
          {"num_layers", full ? facts.full_layers : 4},
          {"out_channels", facts.out_channels},
          {"patch_size", {1, 2, 2}},
          {"pos_embed_seq_len", nullptr},
          {"qk_norm", "rms_norm_across_heads"},
          {"rope_max_seq_len", 1024},
          {"text_dim", full ? 4096 : 128}};
}

Json vae(const VariantFacts& facts, bool full) {
  const int64_t z = facts.out_channels;
  Json json = {{"_class_name", "AutoencoderKLWan"},
               {"base_dim", full ? (facts.vae_2_2 ? 160 : 96) : 16},
               {"z_dim", z},
               {"dim_mult", {1, 2, 4, 4}},
               {"num_res_blocks", full ? 2 : 1},
               {"attn_scales", Json::array()},
               {"temperal_downsample", {false, true, true}},
               {"dropout", 0.0},
               {"is_residual", facts.vae_2_2},
               {"in_channels", facts.vae_2_2 ? 12 : 3},
               {"out_channels", facts.vae_2_2 ? 12 : 3},
               {"scale_factor_spatial", facts.vae_2_2 ? 16 : 8},
               {"scale_factor_temporal", 4},
               {"latents_mean", std::vector<double>(static_cast<size_t>(z), 0.0)},
               {"latents_std", std::vector<double>(static_cast<size_t>(z), 1.0)}};
  if (facts.vae_2_2) {
    json["decoder_base_dim"] = full ? 256 : 24;
    json["patch_size"] = 2;
  }
  return json;
}

Json text_encoder(bool full) {
  return {{"architectures", {"UMT5EncoderModel"}},
          {"model_type", "umt5"},
          {"d_model", full ? 4096 : 128},
          {"d_kv", full ? 64 : 32},
          {"d_ff", full ? 10240 : 256},
          {"num_layers", full ? 24 : 2},
          {"num_heads", full ? 64 : 4},
          {"relative_attention_num_buckets", 32},
          {"relative_attention_max_distance", 128},
          {"layer_norm_epsilon", 1e-6},
          {"feed_forward_proj", "gated-gelu"},
          {"dense_act_fn", "gelu_new"},
          {"is_gated_act", true},
          {"vocab_size", full ? 256384 : 512}};
}

Json scheduler(const VariantFacts& facts) {
  return {{"_class_name", "UniPCMultistepScheduler"},
          {"flow_shift", facts.flow_shift},
          {"num_train_timesteps", 1000},
          {"prediction_type", "flow_prediction"},
          {"use_flow_sigmas", true},
          {"solver_order", 2},
          {"solver_type", "bh2"},
          {"predict_x0", true},
          {"lower_order_final", true},
          {"final_sigmas_type", "zero"},
          {"disable_corrector", Json::array()}};
}

}  // namespace

ModelPreset model_preset(const std::string& variant, const std::string& size) {
  if (size != "demo" && size != "full") {
    throw Error(Code::kInvalidArgument,
                field("preset") + ": unknown '" + size + "'; expected demo or full");
  }
  const VariantFacts facts = variant_facts(variant);
  const bool full = size == "full";
  return {.model_index = model_index(facts),
          .transformer = transformer(facts, full),
          .two_experts = facts.boundary_ratio > 0,
          .vae = vae(facts, full),
          .text_encoder = text_encoder(full),
          .scheduler = scheduler(facts)};
}

}  // namespace mxvideo::synthetic
