// mxvideo generate with quantized transformers that an independent script wrote in the forms of
// other programs: the same weights give the same latents, bit for bit, whatever the form.
#include "e2e/quantized_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

class QuantizedModel : public QuantizedTest, public testing::WithParamInterface<const char*> {
 protected:
  std::string variant() const { return GetParam(); }
  Arguments model(const fs::path& path) const { return {"--model-path", path}; }
  // Of a model that everybody agrees on: SGLang's own form.
  std::string expected() const { return latents(variant(), model(sglang_export(variant()))); }
};

TEST_P(QuantizedModel, EveryFormGivesTheSameLatents) {
  const std::string reference = expected();
  ASSERT_FALSE(reference.empty());
  EXPECT_NE(reference, latents(variant(), {})) << "not quantized";
  const auto expect_same = [&](const char* form, const Arguments& flags) {
    SCOPED_TRACE(form);
    EXPECT_TRUE(latents(variant(), flags) == reference);
  };
  expect_same("raw export", from_raw(raw_export(variant())));
  expect_same("raw export in shards", from_raw(raw_export(variant(), {"--shards", "3"})));
  expect_same("raw export with rotations",
              from_raw(raw_export(variant(), {"--rotations", "--attention-type", "FLOAT"})));
  expect_same("description with Diffusers names",
              from_raw(raw_export(variant(), {"--description-names", "diffusers"})));
  expect_same("SGLang's form with rotations",
              model(sglang_export(variant(), {"--rotations", "--attention-type", "FLOAT"})));
  expect_same("ComfyUI", from_comfy(comfy_export(variant())));
  expect_same("ComfyUI with prefix and E8M0 scales",
              from_comfy(comfy_export(
                  variant(), {"--prefix", "model.diffusion_model.", "--scale-dtype", "F8_E8M0"})));
  expect_same("ComfyUI with metadata",
              from_comfy(comfy_export(variant(), {"--markers", "metadata"})));
  expect_same("vLLM-Omni", model(config_export(variant())));
  expect_same("vLLM-Omni with E8M0 scales in shards",
              model(config_export(variant(), {"--scale-dtype", "F8_E8M0", "--shards", "2"})));
  expect_same("SGLang CUDA", model(config_export(variant(), {"--style", "sglang-cuda"})));
  expect_same("compressed-tensors",
              model(config_export(variant(), {"--style", "compressed-tensors"})));
}

TEST_P(QuantizedModel, OnlineEqualsTheScript) {
  for (const char* rule : {"floor", "rceil"}) {
    const std::string online =
        latents(variant(), {"--quantization", "mxfp8", "--mx-scale-rule", rule});
    const Arguments script = {"--rule", rule, "--rounding", "even"};
    Arguments flags = model(sglang_export(variant(), script));
    flags.insert(flags.end(), {"--mx-scale-rule", rule});
    EXPECT_TRUE(latents(variant(), flags) == online) << rule;
  }
}

TEST_P(QuantizedModel, MixedTypesEqualIgnoredLayers) {
  const std::string ignored = "blocks.0.*,*.ffn.net.2";
  const std::string online =
      latents(variant(), {"--quantization", "mxfp8", "--mx-scale-rule", "floor",
                          "--quantization-ignored-layers", ignored});
  const Arguments script = {"--rounding", "even", "--float-layers", ignored};
  const auto expect_online = [&](const char* form, Arguments flags) {
    flags.insert(flags.end(), {"--mx-scale-rule", "floor"});
    EXPECT_TRUE(latents(variant(), flags) == online) << form;
  };
  expect_online("raw export", from_raw(raw_export(variant(), script)));
  expect_online("SGLang's form", model(sglang_export(variant(), script)));
  expect_online("ComfyUI", from_comfy(comfy_export(variant(), script)));
  for (const char* style : {"vllm-omni", "sglang-cuda", "compressed-tensors"}) {
    Arguments options = script;
    options.insert(options.end(), {"--style", style});
    expect_online(style, model(config_export(variant(), options)));
  }
}

// The seed of this behaviour elsewhere: FP8 codes read as plain values, scales lost.
TEST_P(QuantizedModel, AskingForMxfp8OnAQuantizedModelLoadsItAsItIs) {
  const fs::path path = sglang_export(variant());
  Arguments flags = {"--model-path", path,    "--quantization", "mxfp8",
                     "--output",     "v.y4m", "--save-latents", "l.safetensors",
                     "--overwrite"};
  if (variant() == "i2v-a14b") flags.insert(flags.end(), {"--image-path", picture()});
  const ProcessResult result = run(generate(variant(), flags));
  expect_success(result);
  // One line for each expert.
  const std::string said = "quantizes nothing again";
  size_t lines = 0;
  for (size_t at = 0; (at = result.err.find(said, at)) != std::string::npos; ++at) ++lines;
  EXPECT_EQ(lines, variant() == "ti2v-5b" ? 1u : 2u) << result.err;
  EXPECT_EQ(TensorFile::read(work() / "l.safetensors").at("latents").bytes, expected());
}

INSTANTIATE_TEST_SUITE_P(Variants, QuantizedModel, testing::ValuesIn(kVariants),
                         [](const testing::TestParamInfo<const char*>& parameter) {
                           return std::string(parameter.param).substr(0, 3);
                         });

class QuantizedGenerate : public QuantizedTest {};

TEST_F(QuantizedGenerate, ReportNamesTheSchemeOfEachLayer) {
  const fs::path path = sglang_export("t2v-a14b", {"--float-layers", "blocks.0.*"});
  expect_success(run(generate(
      "t2v-a14b", {"--model-path", path, "-o", "v.y4m", "--report", "r.json", "--overwrite"})));
  std::map<std::string, std::string> schemes;
  const auto report = read_json(work() / "r.json");
  for (const auto& component : report.at("components")) {
    if (component.at("name") != "transformer_2") continue;
    EXPECT_EQ(component.at("quantization"), "modelslim");
    for (const auto& layer : component.at("layers")) {
      schemes[layer.at("name")] = layer.at("scheme");
    }
  }
  EXPECT_EQ(schemes.at("blocks.0.attn1.to_q"), "none");
  EXPECT_NE(schemes.at("blocks.1.attn1.to_q"), "none");
  EXPECT_NE(schemes.at("blocks.1.ffn.net.2"), "none");
}

// Only the first expert, as some recipes do.
TEST_F(QuantizedGenerate, OneQuantizedExpert) {
  const fs::path raw = raw_export("t2v-a14b");
  const std::string both = latents("t2v-a14b", from_raw(raw));
  const std::string one = latents("t2v-a14b", {"--transformer-path", raw / "high_noise_model"});
  EXPECT_NE(one, both);
  EXPECT_NE(one, latents("t2v-a14b", {}));
}

// Layers that the files hold in MXFP8 compute with their decoded weights when they are ignored.
TEST_F(QuantizedGenerate, IgnoredLayersAreHonoured) {
  const fs::path path = sglang_export("t2v-a14b");
  const Arguments ignored = {"--model-path", path, "--quantization-ignored-layers", "blocks.0.*"};
  EXPECT_NE(latents("t2v-a14b", ignored), latents("t2v-a14b", {"--model-path", path}));
  Arguments flags = ignored;
  flags.insert(flags.end(), {"-o", "v.y4m", "--report", "r.json", "--overwrite"});
  expect_success(run(generate("t2v-a14b", flags)));
  const auto report = read_json(work() / "r.json");
  size_t none = 0, mxfp8 = 0;
  for (const auto& component : report.at("components")) {
    if (component.at("name") != "transformer") continue;
    for (const auto& layer : component.at("layers")) {
      const std::string name = layer.at("name");
      none += name.starts_with("blocks.0.") && layer.at("scheme") == "none";
      mxfp8 += name.starts_with("blocks.1.") && layer.at("scheme") == "mxfp8";
    }
  }
  EXPECT_EQ(none, 10u);
  EXPECT_EQ(mxfp8, 10u);
}

TEST_F(QuantizedGenerate, QuantizationNoneIsRefused) {
  const ProcessResult result = run(
      generate("t2v-a14b", {"--model-path", sglang_export("t2v-a14b"), "--quantization", "none"}));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_NE(result.err.find("quantized"), std::string::npos) << result.err;
  EXPECT_EQ(outputs(), std::vector<std::string>());
}

}  // namespace
}  // namespace mxvideo::test
