#include "checkpoint/wan/key_map.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <set>

#include "checkpoint/safetensors_writer.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

// Pairs (original name, Hugging Face name) of one golden file.
std::vector<std::pair<std::string, std::string>> read_pairs(const std::string& file) {
  std::vector<std::pair<std::string, std::string>> pairs;
  std::ifstream stream(std::string(MXVIDEO_GOLDEN_DIR) + "/checkpoint/" + file);
  std::string line;
  while (std::getline(stream, line)) {
    const size_t tab = line.find('\t');
    pairs.emplace_back(line.substr(0, tab), line.substr(tab + 1));
  }
  return pairs;
}

struct NamesCase {
  const char* file;
  size_t count;
  std::span<const RenameRule> rules;
  Component component;
};

class FullKeySet : public testing::TestWithParam<NamesCase> {};

TEST_P(FullKeySet, MapsOneToOne) {
  const auto pairs = read_pairs(GetParam().file);
  ASSERT_EQ(pairs.size(), GetParam().count);
  std::set<std::string> targets;
  for (const auto& [original, expected] : pairs) {
    EXPECT_EQ(rename_parameter(GetParam().rules, original), expected);
    // Scales of quantized files lie beside their weight under the same prefix.
    if (original.ends_with(".weight")) {
      EXPECT_EQ(rename_parameter(GetParam().rules, original + "_scale"), expected + "_scale");
    }
    targets.insert(expected);
  }
  EXPECT_EQ(targets.size(), pairs.size());
}

TEST_P(FullKeySet, IsRecognisedInACheckpoint) {
  const TemporaryDirectory directory;
  const Tensor value = Tensor::zeros({1});
  std::vector<NamedTensor> originals, others;
  std::set<std::string> expected;
  for (const auto& [original, other] : read_pairs(GetParam().file)) {
    originals.push_back({original, value});
    others.push_back({other, value});
    expected.insert(other);
  }
  const auto path = directory.path() / "x.safetensors";
  for (const bool original : {true, false}) {
    write_safetensors(path, original ? originals : others);
    Checkpoint checkpoint = Checkpoint::open_file(path);
    EXPECT_EQ(normalize_names(checkpoint, GetParam().component),
              original ? NamingStyle::kOriginal : NamingStyle::kHuggingFace);
    std::set<std::string> got;
    for (const auto& [name, tensor] : checkpoint.tensors()) got.insert(name);
    EXPECT_EQ(got, expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    KeyMap, FullKeySet,
    testing::Values(NamesCase{"names_transformer_a14b.tsv", 1095, wan_transformer_rules(),
                              Component::kTransformer},
                    NamesCase{"names_transformer_5b.tsv", 825, wan_transformer_rules(),
                              Component::kTransformer},
                    NamesCase{"names_umt5.tsv", 242, wan_umt5_rules(), Component::kTextEncoder},
                    NamesCase{"names_vae_2_1.tsv", 194, wan_vae_2_1_rules(), Component::kVae},
                    NamesCase{"names_vae_2_2.tsv", 196, wan_vae_2_2_rules(), Component::kVae}));

TEST(KeyMap, MatchesWholeComponentsOnly) {
  constexpr std::array kRules = {RenameRule{"a.#", "b.#1"}, RenameRule{"^x", "y"}};
  EXPECT_EQ(rename_parameter(kRules, "a.12.w"), "b.12.w");
  EXPECT_EQ(rename_parameter(kRules, "aa.12.w"), "aa.12.w");
  EXPECT_EQ(rename_parameter(kRules, "a.1x.w"), "a.1x.w");
  EXPECT_EQ(rename_parameter(kRules, "z.x"), "z.x");
  EXPECT_EQ(rename_parameter(kRules, "x.x"), "y.x");
  EXPECT_EQ(rename_parameter(kRules, ""), "");
  EXPECT_EQ(rename_parameter(kRules, "..a"), "..a");
}

TEST(KeyMap, KeepsRotationNamesApartFromProjections) {
  EXPECT_EQ(rename_parameter(wan_transformer_rules(), "blocks.0.self_attn.q_rot"),
            "blocks.0.attn1.to_q_rot");
  EXPECT_EQ(rename_parameter(wan_transformer_rules(), "blocks.0.self_attn.quant_type"),
            "blocks.0.attn1.quant_type");
}

// Both ways and whatever lies around the name; the parts of a quantized layer follow its weight.
TEST(KeyMap, CanonicalTransformerNamesAndBack) {
  const auto expect_pair = [](const std::string& stored, const std::string& canonical) {
    constexpr auto kOriginal = NamingStyle::kOriginal;
    EXPECT_EQ(canonical_transformer_name(stored, kOriginal), canonical);
    EXPECT_EQ(canonical_transformer_name("model.diffusion_model." + stored, kOriginal), canonical);
    EXPECT_EQ(canonical_transformer_name(canonical, NamingStyle::kHuggingFace), canonical);
    EXPECT_EQ(original_transformer_name(canonical), stored);
  };
  for (const char* file : {"names_transformer_a14b.tsv", "names_transformer_5b.tsv"}) {
    for (const auto& [original, canonical] : read_pairs(file)) {
      expect_pair(original, canonical);
      if (!original.ends_with(".weight")) continue;
      const auto layer = [](const std::string& name) { return name.substr(0, name.rfind('.')); };
      for (const std::string part : {".weight_scale", ".comfy_quant"}) {
        expect_pair(layer(original) + part, layer(canonical) + part);
      }
    }
  }
}

TEST(KeyMap, CanonicalNamesOfWhatOnlyQuantizedFilesHave) {
  constexpr auto kHf = NamingStyle::kHuggingFace;
  constexpr auto kOriginal = NamingStyle::kOriginal;
  const struct {
    const char* stored;
    NamingStyle style;
    const char* canonical;
  } cases[] = {
      {"blocks.0.self_attn.q_rot", kOriginal, "blocks.0.attn1.to_q_rot"},
      {"blocks.0.attn1.k_rot", kHf, "blocks.0.attn1.to_k_rot"},
      {"blocks.0.attn1.to_k_rot", kHf, "blocks.0.attn1.to_k_rot"},
      // SGLang's repack leaves names that no tensor has as they were.
      {"blocks.7.self_attn.quant_type", kHf, "blocks.7.attn1.quant_type"},
      {"blocks.0.ffn.0.linear.weight", kOriginal, "blocks.0.ffn.net.0.proj.weight"},
      {"blocks.0.ffn.0.div.mul_scale", kOriginal, "blocks.0.ffn.net.0.proj.mul_scale"},
      {"blocks.0.ffn.net.2.linear.weight_scale", kHf, "blocks.0.ffn.net.2.weight_scale"},
      {"diffusion_model.blocks.0.norm3.bias", kOriginal, "blocks.0.norm2.bias"},
      {"blocks.0.norm2.bias", kHf, "blocks.0.norm2.bias"},
      {".weight", kHf, ".weight"},
      {"", kHf, ""},
  };
  for (const auto& c : cases) EXPECT_EQ(canonical_transformer_name(c.stored, c.style), c.canonical);
  EXPECT_EQ(original_transformer_name("blocks.0.attn1.to_q_rot"), "blocks.0.self_attn.q_rot");
  EXPECT_EQ(original_transformer_name("blocks.0.attn1.quant_type"),
            "blocks.0.self_attn.quant_type");
}

TEST(KeyMap, RenamesImageConditioningOfWan21) {
  const auto rules = wan_transformer_rules();
  EXPECT_EQ(rename_parameter(rules, "img_emb.proj.4.weight"),
            "condition_embedder.image_embedder.norm2.weight");
  EXPECT_EQ(rename_parameter(rules, "blocks.3.cross_attn.k_img.bias"),
            "blocks.3.attn2.add_k_proj.bias");
  EXPECT_EQ(rename_parameter(rules, "blocks.3.cross_attn.norm_k_img.weight"),
            "blocks.3.attn2.norm_added_k.weight");
}

TEST(KeyMap, RefusesMixedStyles) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "x.safetensors";
  const Tensor value = Tensor::zeros({1});
  write_safetensors(path, std::array{NamedTensor{"blocks.0.self_attn.q.weight", value},
                                     NamedTensor{"blocks.0.attn2.to_q.weight", value}});
  Checkpoint checkpoint = Checkpoint::open_file(path);
  expect_error_with(Code::kCorruptFile,
                    "mixes original Wan names ('blocks.0.self_attn.q.weight') with Hugging Face "
                    "names ('blocks.0.attn2.to_q.weight')",
                    [&] { normalize_names(checkpoint, Component::kTransformer); });
}

// What torch.nn.DataParallel, torch.compile, FSDP, PEFT, ComfyUI and trainers put around a model.
TEST(KeyMap, TakesWrappersOffNames) {
  for (const char* wrapped :
       {"model.diffusion_model.blocks.0.ffn.0.weight", "module.blocks.0.ffn.0.weight",
        "_orig_mod.blocks.0.ffn.0.weight", "blocks.0._orig_mod.ffn.0.weight",
        "_fsdp_wrapped_module.blocks.0._fsdp_wrapped_module.ffn.0.weight",
        "module._orig_mod.model.blocks.0.ffn.0.weight", "transformer.blocks.0.ffn.0.weight",
        "base_model.model.blocks.0.ffn.0.weight", "generator.model.blocks.0.ffn.0.weight",
        "net.blocks.0._checkpoint_wrapped_module.ffn.0.weight"}) {
    EXPECT_EQ(unwrapped_name(wrapped), "blocks.0.ffn.0.weight") << wrapped;
    EXPECT_EQ(canonical_transformer_name(wrapped, NamingStyle::kOriginal),
              "blocks.0.ffn.net.0.proj.weight");
  }
  EXPECT_EQ(unwrapped_name("model"), "model");
  EXPECT_EQ(unwrapped_name("modulation.weight"), "modulation.weight");
}

class LeftoverTest : public testing::Test {
 protected:
  Checkpoint open(const std::vector<std::string>& names, Component component) {
    std::vector<NamedTensor> tensors;
    for (const std::string& name : names) tensors.push_back({name, value_});
    write_safetensors(directory_.path() / "x.safetensors", tensors);
    Checkpoint checkpoint = Checkpoint::open_file(directory_.path() / "x.safetensors");
    normalize_names(checkpoint, component);
    return checkpoint;
  }

  TemporaryDirectory directory_;
  Tensor value_ = Tensor::zeros({1});
};

TEST_F(LeftoverTest, AreSetAsideWithALine) {
  const Checkpoint encoder =
      open({"scaled_fp8", "shared.weight", "spiece_model"}, Component::kTextEncoder);
  EXPECT_EQ(encoder.tensors().size(), 1u);
  EXPECT_EQ(encoder.tensors_set_aside().size(), 2u);
  ASSERT_EQ(encoder.notices().size(), 2u);
  EXPECT_NE(encoder.notices()[0].find("x.safetensors: tensor scaled_fp8 is ignored"),
            std::string::npos);
  EXPECT_NE(encoder.notices()[1].find("tensor spiece_model is no weight"), std::string::npos);
  const Checkpoint transformer =
      open({"diffusion_model.scaled_fp8", "diffusion_model.blocks.0.ffn.0.bias"},
           Component::kTransformer);
  EXPECT_EQ(transformer.tensors().size(), 1u);
  EXPECT_EQ(transformer.notices().size(), 1u);
}

TEST_F(LeftoverTest, StayWhereTheyMeanSomething) {
  const Checkpoint scaled =
      open({"blocks.0.ffn.0.scale_weight", "scaled_fp8", "spiece_model"}, Component::kTransformer);
  EXPECT_EQ(scaled.tensors().size(), 3u);
  EXPECT_TRUE(scaled.notices().empty());
}

}  // namespace
}  // namespace mxvideo::checkpoint
