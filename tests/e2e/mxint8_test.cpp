// MXINT8 files: the bits of the independent script, those of the online scheme, and what other
// formats and engines do not have.
#include "e2e/quantized_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const Arguments kAll = {"--int8-layers", "*"};
const Arguments kSome = {"--int8-layers", "*.attn1.to_k,*.attn2.*", "--float-layers",
                         "blocks.0.ffn.*"};

Arguments joined(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

class Mxint8Test : public QuantizedTest {
 protected:
  static Arguments quantize(const std::string& variant, const fs::path& out,
                            const Arguments& extra) {
    return joined({"quantize", "--quantization", "mxint8", "--model-path", tiny_model(variant),
                   "--output", out, "--progress", "none"},
                  extra);
  }
  static Arguments repack(const fs::path& quant, const fs::path& out, const Arguments& extra) {
    return joined({"repack", "--quant-path", quant, "--output-path", out, "--progress", "none"},
                  extra);
  }
  fs::path repacked(const fs::path& source, const Arguments& extra) const {
    fs::path out = target();
    expect_success(run(repack(source, out, extra)));
    return out;
  }
  fs::path quantized(const std::string& variant, const Arguments& extra) const {
    fs::path out = target();
    expect_success(run(quantize(variant, out, extra)));
    return out;
  }
  static std::set<std::string> names(const fs::path& folder) {
    std::set<std::string> result;
    for (const auto& entry : fs::directory_iterator(folder)) result.insert(entry.path().filename());
    return result;
  }
};

class Mxint8Variants : public Mxint8Test, public testing::WithParamInterface<const char*> {
 protected:
  std::string variant() const { return GetParam(); }
  bool two() const { return variant() != "ti2v-5b"; }
};

TEST_P(Mxint8Variants, BothLayoutsAreTheScripts) {
  const std::pair<Arguments, Arguments> rules[] = {
      {{}, {"--rule", "rceil", "--rounding", "even"}},
      {{"--mx-scale-rule", "floor", "--rounding", "half-away"}, {"--rule", "floor"}}};
  for (const auto& [product, script] : rules) {
    const fs::path raw = quantized(variant(), joined(product, {"--layout", "modelslim"}));
    const fs::path diffusers = quantized(variant(), joined(product, {"--layout", "diffusers"}));
    const fs::path expected_raw = raw_export(variant(), joined(script, kAll));
    const fs::path expected = sglang_export(variant(), joined(script, kAll));
    for (const bool high : {true, false}) {
      if (!high && !two()) continue;
      const fs::path expert = !two() ? "." : high ? "high_noise_model" : "low_noise_model";
      EXPECT_EQ(tensor_differences(raw / expert, expected_raw / expert), "");
      const fs::path name = expert / "quant_model_description_w8a8_mxint8.json";
      Json mine = read_json(raw / name), theirs = read_json(expected_raw / name);
      for (const char* member : {"version", "group_size", "metadata", "optional"}) {
        theirs.erase(member);
      }
      EXPECT_EQ(mine, theirs);
      const char* folder = high ? "transformer" : "transformer_2";
      EXPECT_EQ(tensor_differences(diffusers / folder, expected / folder), "");
    }
  }
}

TEST_P(Mxint8Variants, OnlineEqualsOffline) {
  const Arguments online = {"--quantization", "mxint8", "--quantization-ignored-layers",
                            "blocks.0.attn1.*"};
  for (const char* rule : {"rceil", "floor"}) {
    const std::string expected = latents(variant(), joined(online, {"--mx-scale-rule", rule}));
    ASSERT_FALSE(expected.empty());
    const fs::path out =
        quantized(variant(), {"--mx-scale-rule", rule, "--ignored-layers", "blocks.0.attn1.*"});
    const Arguments offline = {"--model-path", out, "--mx-scale-rule", rule};
    EXPECT_TRUE(latents(variant(), offline) == expected) << rule;
    EXPECT_TRUE(latents(variant(), joined(offline, {"--quantization", "mxint8"})) == expected);
    const fs::path saved = target();
    EXPECT_TRUE(latents(variant(), joined(online, {"--mx-scale-rule", rule, "--save-quantized",
                                                   saved})) == expected);
    for (const char* folder : {"transformer", "transformer_2"}) {
      if (!two() && std::string(folder) == "transformer_2") continue;
      EXPECT_EQ(tensor_differences(saved / folder, out / folder), "") << folder;
    }
  }
}

TEST_P(Mxint8Variants, ScriptsExportsLoad) {
  const Arguments rule = {"--rule", "rceil", "--rounding", "even"};
  const std::string expected = latents(variant(), {"--quantization", "mxint8"});
  EXPECT_TRUE(latents(variant(), {"--model-path", sglang_export(variant(), joined(rule, kAll))}) ==
              expected);
  EXPECT_TRUE(latents(variant(), from_raw(raw_export(variant(), joined(rule, kAll)))) == expected);
  const std::string mixed = latents(variant(), from_raw(raw_export(variant(), kSome)));
  EXPECT_TRUE(latents(variant(), {"--model-path", sglang_export(variant(), kSome)}) == mixed);
  EXPECT_NE(mixed, expected);
  EXPECT_NE(mixed, latents(variant(), {"--model-path", sglang_export(variant())}));
}

TEST_P(Mxint8Variants, RoundTripsAreBitIdentical) {
  for (const Arguments& options : {kAll, kSome}) {
    const fs::path raw = raw_export(variant(), options);
    const fs::path diffusers =
        repacked(raw, {"--original-model-path", tiny_model(variant()), "--verify"});
    const fs::path back = repacked(diffusers, {"--layout", "modelslim", "--verify"});
    for (const bool high : {true, false}) {
      if (!high && !two()) continue;
      const fs::path expert = !two() ? "." : high ? "high_noise_model" : "low_noise_model";
      EXPECT_EQ(tensor_differences(back / expert, raw / expert), "");
      const char* folder = high ? "transformer" : "transformer_2";
      EXPECT_EQ(tensor_differences(diffusers / folder, sglang_export(variant(), options) / folder),
                "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, Mxint8Variants, testing::ValuesIn(kVariants),
                         [](const testing::TestParamInfo<const char*>& parameter) {
                           return std::string(parameter.param).substr(0, 3);
                         });

TEST_F(Mxint8Test, FloatTensorsComeFromTheOriginal) {
  const fs::path full = raw_export("t2v-a14b", kAll);
  const fs::path bare = raw_export("t2v-a14b", joined(kAll, {"--omit-float"}));
  const Arguments original = {"--original-model-path", tiny_model("t2v-a14b"), "--verify"};
  const fs::path expected = repacked(full, original), overlaid = repacked(bare, original);
  for (const char* folder : {"transformer", "transformer_2"}) {
    EXPECT_EQ(tensor_differences(overlaid / folder, expected / folder), "") << folder;
  }
}

TEST_F(Mxint8Test, TheOtherSchemeIsAContradiction) {
  const auto with = [&](const fs::path& model, const char* scheme) {
    return run(generate("t2v-a14b", {"--model-path", model, "--quantization", scheme, "--output",
                                     "v.y4m", "--overwrite"}));
  };
  const fs::path int8 = sglang_export("t2v-a14b", kAll), fp8 = sglang_export("t2v-a14b");
  const fs::path mixed = sglang_export("t2v-a14b", kSome);
  expect_failure(with(int8, "mxfp8"), 2, "--quantization mxfp8 contradicts");
  expect_failure(with(fp8, "mxint8"), 2, "--quantization mxint8 contradicts");
  expect_failure(with(mixed, "mxfp8"), 2, "MXINT8 already");
  expect_failure(with(mixed, "mxint8"), 2, "MXFP8 already");
  expect_failure(with(int8, "none"), 2, "--quantization none contradicts");
  const ProcessResult same = with(int8, "mxint8");
  expect_success(same);
  EXPECT_NE(same.err.find("--quantization mxint8 quantizes nothing again"), std::string::npos)
      << same.err;
}

TEST_F(Mxint8Test, CodesOfTheOtherTypeAreRefused) {
  const std::string layer = "blocks.1.attn1.to_q";
  const auto relabelled = [&](const fs::path& source, const char* type) {
    fs::path model = copy_of(source);
    edit_json(model / "transformer/quant_model_description.json", [&](Json& json) {
      json[layer + ".weight"] = type;
      json[layer + ".weight_scale"] = type;
    });
    return model;
  };
  const auto load = [&](const fs::path& model) {
    return run(generate("ti2v-5b", {"--model-path", model, "--output", "v.y4m", "--overwrite"}));
  };
  expect_failure(load(relabelled(sglang_export("ti2v-5b"), "W8A8_MXINT8")), 3,
                 "1 of wrong dtype: " + layer + ".weight (expected I8, got F8_E4M3)");
  const fs::path int8 = relabelled(sglang_export("ti2v-5b", kAll), "W8A8_MXFP8");
  const std::string message = "1 of wrong dtype: " + layer + ".weight (expected F8_E4M3, got I8)";
  expect_failure(load(int8), 3, message);
  expect_failure(run(repack(int8, target(), {})), 3, message);
  const ProcessResult verified = run({"verify", int8, "--json"});
  EXPECT_EQ(verified.exit_code, 8);
  EXPECT_NE(verified.out.find(message), std::string::npos) << verified.out;
  // Without a declaration it is nobody's type.
  const fs::path bare = copy_of(sglang_export("ti2v-5b", kAll));
  fs::remove(bare / "transformer/quant_model_description.json");
  expect_failure(load(bare), 3, "40 quantized tensors without a declaration");
}

TEST_F(Mxint8Test, ComfyIsRefusedAndNothingIsWritten) {
  const fs::path model = sglang_export("i2v-a14b", kSome);
  const auto before = names(scratch());
  expect_failure(run(quantize("i2v-a14b", scratch() / "out", {"--layout", "comfy"})), 2,
                 "ComfyUI has no format");
  expect_failure(run(repack(model, scratch() / "out", {"--layout", "comfy"})), 3,
                 "ComfyUI has no format");
  EXPECT_EQ(names(scratch()), before);
}

// -128, which the format has and no quantizer here makes, as the script and the format read it.
TEST_F(Mxint8Test, TheLowestCodeIsANumber) {
  const fs::path model = copy_of(sglang_export("ti2v-5b", kAll));
  const fs::path file = model / "transformer/diffusion_pytorch_model.safetensors";
  edit_tensors(file, [](TensorFile& tensors) {
    std::string& codes = tensors.at("blocks.1.ffn.net.2.weight").bytes;
    std::fill_n(codes.begin(), 64, '\x80');
  });
  const Arguments path = {"--model-path", model};
  const std::string computed = latents("ti2v-5b", path);
  EXPECT_NE(computed, latents("ti2v-5b", {"--model-path", sglang_export("ti2v-5b", kAll)}));
  expect_success(run({"verify", model, "--json"}));
  const fs::path raw = repacked(model, {"--layout", "modelslim", "--verify"});
  const std::string codes = TensorFile::read(raw / "quant_model_weight_w8a8_mxint8.safetensors")
                                .at("blocks.1.ffn.2.weight")
                                .bytes;
  EXPECT_EQ(codes.substr(0, 64), std::string(64, '\x80'));
}

TEST_F(Mxint8Test, InspectVerifyAndPlanKnowIt) {
  const fs::path model = sglang_export("t2v-a14b", kSome);
  ProcessResult result = run({"inspect", model, "--json", "--layers"});
  expect_success(result);
  const Json transformer = Json::parse(result.out).at("components").at(1);
  EXPECT_EQ(transformer.at("effective"), (Json{{"mxfp8", 8}, {"mxint8", 10}, {"none", 8}}));
  EXPECT_EQ(transformer.at("layer_types").at("attn2.to_v"), (Json{{"W8A8_MXINT8", 2}}));
  EXPECT_NE(run({"inspect", model, "--layers"}).out.find("W8A8_MXINT8"), std::string::npos);

  result =
      run({"verify", model, "--original", tiny_model("t2v-a14b"), "--min-sqnr", "25", "--json"});
  expect_success(result);
  const Json verified = Json::parse(result.out);
  for (const Json& tensor : verified.at("components").at(1).at("comparison")) {
    const std::string name = tensor.at("name");
    if (!tensor.at("quantized")) continue;
    const bool int8 =
        name.find(".attn2.") != std::string::npos || name.find(".attn1.to_k.") != std::string::npos;
    EXPECT_EQ(tensor.at("sqnr_db") > 37, int8) << name << " " << tensor.at("sqnr_db");
  }

  result = run({"plan", "--model-path", model, "--size", "64x64", "--num-frames", "5", "--json"});
  expect_success(result);
  std::map<std::string, int> layers;
  const Json plan = Json::parse(result.out);
  for (const Json& component : plan.at("components")) {
    if (component.at("name") != "transformer") continue;
    for (const Json& entry : component.at("schemes"))
      layers[entry.at("scheme")] += int(entry.at("layers"));
  }
  EXPECT_EQ(layers["mxint8"], 10);
  EXPECT_EQ(layers["mxfp8"], 8);
}

}  // namespace
}  // namespace mxvideo::test
