#include "checkpoint/wan/model_family.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text/quote.h"
#include "checkpoint/parameter_loader.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/wan/key_map.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using mxvideo::test::TemporaryDirectory;

struct TensorOf {
  std::string name;
  DType dtype = DType::kBF16;
  Shape shape = {4, 4};
};

// The tensors of a small Wan transformer of original names that tell what it is.
std::vector<TensorOf> wan(int64_t in_channels = 16, int64_t out_channels = 16) {
  return {{.name = "patch_embedding.weight", .shape = {64, in_channels, 1, 2, 2}},
          {.name = "blocks.0.self_attn.q.weight", .shape = {64, 64}},
          {.name = "blocks.1.self_attn.q.weight", .shape = {64, 64}},
          {.name = "time_embedding.0.weight"},
          {.name = "head.head.weight", .shape = {4 * out_channels, 64}}};
}

std::vector<TensorOf> with(std::vector<TensorOf> tensors, const std::vector<TensorOf>& more) {
  tensors.insert(tensors.end(), more.begin(), more.end());
  return tensors;
}

std::vector<TensorOf> prefixed(const std::string& prefix, std::vector<TensorOf> tensors) {
  for (TensorOf& tensor : tensors) tensor.name = prefix + tensor.name;
  return tensors;
}

class ModelFamilyTest : public testing::Test {
 protected:
  Checkpoint open(const std::vector<TensorOf>& tensors, const std::string& file = "x.safetensors") {
    std::vector<Tensor> values;
    values.reserve(tensors.size());
    std::vector<NamedTensor> named;
    for (const TensorOf& tensor : tensors) {
      values.emplace_back(tensor.dtype, tensor.shape);
      named.push_back({tensor.name, values.back()});
    }
    write_safetensors(directory_.path() / file, named);
    return Checkpoint::open_file(directory_.path() / file);
  }

  std::string sentence(const std::vector<TensorOf>& tensors,
                       const std::string& file = "x.safetensors") {
    const auto family = recognise_family(open(tensors, file));
    return family ? family->sentence() : "";
  }

  TemporaryDirectory directory_;
};

// The names are those of the programs that the header cites.
TEST_F(ModelFamilyTest, NamesTheRelativesOfWan) {
  struct Relative {
    std::string tensor, name;
  };
  for (const Relative& relative : std::vector<Relative>{
           {"vace_blocks.0.before_proj.weight", "Wan-VACE"},
           {"vace_patch_embedding.weight", "Wan-VACE"},
           {"casual_audio_encoder.encoder.final_linear.weight", "Wan2.2-S2V"},
           {"audio_injector.injector.0.q.weight", "Wan2.2-S2V"},
           {"face_adapter.fuser_blocks.0.k_norm.weight", "Wan2.2-Animate"},
           {"motion_encoder.enc.net_app.convs.3.conv2.0.kernel", "Wan2.2-Animate"},
           {"pose_patch_embedding.weight", "Wan2.2-Animate"},
           {"audio_proj.audio_proj_glob_1.layer.bias", "HuMo"},
           {"control_adapter.conv.weight", "Wan-Fun-Camera"},
           {"ref_conv.weight", "Wan-Fun-Control"},
           {"blocks.0.cross_attn.k_img.weight", "Wan2.1-I2V"},
           {"img_emb.proj.1.weight", "Wan2.1-I2V"},
           {"condition_embedder.image_embedder.norm1.weight", "Wan2.1-I2V"},
           {"blocks.0.attn2.add_k_proj.weight", "Wan2.1-I2V"},
       }) {
    for (const char* prefix : {"", "model.diffusion_model."}) {
      const auto family =
          recognise_family(open(prefixed(prefix, with(wan(), {{relative.tensor}}))));
      ASSERT_TRUE(family) << relative.tensor;
      EXPECT_NE(family->what.find(relative.name), std::string::npos) << family->what;
      EXPECT_FALSE(family->runs);
    }
  }
}

TEST_F(ModelFamilyTest, TellsWanTransformersByTheirChannels) {
  EXPECT_EQ(sentence(wan(16, 16)),
            "is a Wan transformer of width 64 with 16 input channels, as T2V has");
  EXPECT_EQ(
      sentence(wan(36, 16)),
      "is a Wan transformer of width 64 with 36 input channels, as I2V-A14B and Fun-InP have");
  EXPECT_EQ(sentence(wan(48, 48)),
            "is a Wan transformer of width 64 with 48 input channels, as TI2V-5B has");
  EXPECT_NE(sentence(wan(52, 16)).find("as Fun-Control"), std::string::npos);
}

TEST_F(ModelFamilyTest, NamesLorasInTheSpellingsOfTheirTrainers) {
  const std::string layer = "diffusion_model.blocks.0.self_attn.q.";
  for (const char* suffix : {"lora_A.weight", "lora_down.weight", "lora_A.default.weight"}) {
    EXPECT_NE(sentence({{.name = layer + suffix, .shape = {8, 5120}}})
                  .find("is a LoRA for a Wan transformer of width 5120 (14B), not a model; "),
              std::string::npos)
        << suffix;
  }
  EXPECT_NE(
      sentence({{.name = "lora_unet_blocks_0_cross_attn_k.lora_down.weight", .shape = {8, 3072}}})
          .find("width 3072 (TI2V-5B)"),
      std::string::npos);
  for (const char* name : {"blocks.0.ffn.0.diff", "blocks.0.ffn.0.diff_b",
                           "blocks.0.ffn.0.hada_w1_a", "blocks.0.ffn.0.lokr_w1"}) {
    EXPECT_TRUE(sentence({{name}}).starts_with("is a LoRA, not a model; ")) << name;
  }
  EXPECT_TRUE(sentence({{"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight"}})
                  .starts_with("is a LoRA for another model than Wan"));
  EXPECT_TRUE(sentence(with(wan(), {{"blocks.0.self_attn.q.lora_A.weight"}}))
                  .starts_with("is a model with a LoRA that is not merged"));
}

TEST_F(ModelFamilyTest, NamesPartsAndMerges) {
  EXPECT_TRUE(sentence({{"blocks.0.self_attn.q.weight"}, {"blocks.0.ffn.0.weight"}})
                  .starts_with("is the blocks of a Wan transformer without the tensors around"));
  EXPECT_TRUE(
      sentence(with(prefixed("model.diffusion_model.", wan()),
                    {{"first_stage_model.conv1.weight"}, {"cond_stage_model.shared.weight"}}))
          .starts_with("is an all-in-one checkpoint (a transformer, a VAE, a text encoder"));
  EXPECT_TRUE(sentence({{"blocks.0.self_attn.q.weight"}}, "wan-00001-of-00002.safetensors")
                  .starts_with("is shard 1 of 2"));
  EXPECT_EQ(sentence(wan(), "wan-00001-of-00002.safetensors"),
            "is shard 1 of 2 of a checkpoint; the others and their index "
            "wan.safetensors.index.json are needed too");
  EXPECT_TRUE(sentence(wan(), "wan-00001-of-00001.safetensors").starts_with("is a Wan"));
}

TEST_F(ModelFamilyTest, NamesFormsOfQuantization) {
  const TensorOf fp8{.name = "blocks.0.self_attn.k.weight", .dtype = DType::kF8E4M3};
  const auto form = [&](const std::string& name, DType dtype = DType::kF32) {
    return sentence(with(wan(), {fp8, {.name = name, .dtype = dtype, .shape = {1}}}));
  };
  EXPECT_NE(form("scaled_fp8", DType::kF8E4M3).find("in ComfyUI's fp8_scaled form; "),
            std::string::npos);
  EXPECT_NE(form("blocks.0.self_attn.k.scale_weight").find("fp8_scaled"), std::string::npos);
  EXPECT_NE(form("blocks.0.self_attn.k.weight_scale_2").find("in NVFP4; "), std::string::npos);
  EXPECT_NE(form("blocks.0.self_attn.k.weight_scale").find("in FP8 with float scales; "),
            std::string::npos);
  EXPECT_NE(sentence(with(wan(), {fp8})).find("in FP8 without scales; "), std::string::npos);
  // Leftovers, and MXFP8.
  EXPECT_EQ(sentence(with(wan(), {{.name = "scaled_fp8", .dtype = DType::kF8E4M3, .shape = {0}}}))
                .find("fp8_scaled"),
            std::string::npos);
  EXPECT_EQ(form("blocks.0.self_attn.k.weight_scale", DType::kU8).find(" in "), std::string::npos);
}

TEST_F(ModelFamilyTest, NamesOtherModels) {
  EXPECT_TRUE(sentence({{"double_blocks.0.img_attn.qkv.weight"}}).starts_with("is a Flux"));
  EXPECT_TRUE(
      sentence({{"model.layers.0.self_attn.q_proj.weight"}}).starts_with("is a language model"));
  EXPECT_TRUE(sentence({{"vision_model.post_layernorm.weight"}}).starts_with("is a CLIP image"));
  EXPECT_EQ(sentence({{.name = "decoder.conv1.weight", .shape = {8, 16, 3, 3, 3}},
                      {.name = "conv2.weight", .shape = {16, 16, 1, 1, 1}}}),
            "is a Wan VAE with 16 latent channels");
  EXPECT_TRUE(sentence({{.name = "decoder.conv_in.weight", .shape = {8, 4, 3, 3}}})
                  .starts_with("is a VAE for images"));
  EXPECT_TRUE(sentence({{"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"},
                        {"encoder.block.1.layer.0.SelfAttention.q.weight"}})
                  .starts_with("is a T5 text encoder, not UMT5"));
  EXPECT_EQ(sentence({{"something.else"}}), "");
}

TEST_F(ModelFamilyTest, StandsInFrontOfWhatIsMissing) {
  Checkpoint vae = open({{.name = "decoder.conv1.weight", .shape = {8, 16, 3, 3, 3}},
                         {.name = "conv2.weight", .shape = {16, 16, 1, 1, 1}}});
  normalize_names(vae, Component::kTransformer);
  ParameterLoader loader;
  loader.add_unused({{"proj_out.weight", {4, 4}, {}}});
  test::expect_error_with(
      Code::kUnsupported,
      "x.safetensors: is a Wan VAE with 16 latent channels, expected a transformer: tensors do not "
      "fit the model: 1 missing: proj_out.weight; 2 unexpected: ",
      [&] { loader.check_key_set(vae); });
}

TEST(NameList, FoldsNamesThatDifferInANumber) {
  EXPECT_EQ(name_list({"b.0.w", "a", "b.1.w", "b.2.w", "b.0.v", "b.5.w", "b.10.v"}),
            "b.{0..2,5}.w, a, b.{0,10}.v");
  EXPECT_EQ(name_list({"b.0.w (got [1, 2])", "b.1.w (got [1, 2])", "b.2.w (got [1, 3])"}),
            "b.{0,1}.w (got [1, 2]), b.2.w (got [1, 3])");
  EXPECT_EQ(name_list({"f-00001-of-00002.safetensors", "x.007.y", "c (v0.1.2)"}),
            "f-00001-of-00002.safetensors, x.007.y, c (v0.1.2)");
  EXPECT_EQ(name_list({"b.0.w", "b.1.w", "c", "d"}, 2), "b.{0,1}.w, c, … and 1 more");
}

}  // namespace
}  // namespace mxvideo::checkpoint
