// mxvideo repack against an independent implementation of SGLang's tools/wan_repack.py: the same
// tensors, and an error where that tool goes on silently.
#include "e2e/quantized_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const std::map<std::string, std::string> kModelTypes = {{"t2v-a14b", "Wan2.2-T2V-A14B"},
                                                        {"i2v-a14b", "Wan2.2-I2V-A14B"},
                                                        {"ti2v-5b", "Wan2.2-TI2V-5B"}};
constexpr const char* kRawWeights = "quant_model_weight_w8a8_mxfp8.safetensors";
constexpr const char* kRawDescription = "quant_model_description_w8a8_mxfp8.json";

class RepackTest : public QuantizedTest {
 protected:
  static Arguments repack(const std::string& variant, const fs::path& quant, const fs::path& out,
                          const Arguments& extra = {}) {
    Arguments arguments = {"repack",
                           "--original-model-path",
                           tiny_model(variant),
                           "--quant-path",
                           quant,
                           "--output-path",
                           out,
                           "--progress",
                           "none"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return arguments;
  }

  fs::path repacked(const std::string& variant, const fs::path& quant,
                    const Arguments& extra = {}) const {
    fs::path out = target();
    const ProcessResult result = run(repack(variant, quant, out, extra));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return out;
  }

  // One line of error with this fragment, and neither an output nor a part of one.
  void expect_refused(const Arguments& arguments, int code, const std::string& fragment) const {
    const std::set<std::string> before = names(scratch());
    expect_failure(run(arguments), code, fragment);
    EXPECT_EQ(names(scratch()), before);
  }

  static std::set<std::string> names(const fs::path& folder) {
    std::set<std::string> result;
    for (const auto& entry : fs::directory_iterator(folder)) result.insert(entry.path().filename());
    return result;
  }

  static void expect_same_tensors(const std::string& variant, const fs::path& diffusers,
                                  const fs::path& expected) {
    for (const char* folder : {"transformer", "transformer_2"}) {
      if (variant == "ti2v-5b" && std::string(folder) == "transformer_2") continue;
      EXPECT_EQ(tensor_differences(diffusers / folder, expected / folder), "") << folder;
    }
  }
};

class RepackVariants : public RepackTest, public testing::WithParamInterface<const char*> {};

// All three types of the tool, whose first version knew one.
TEST_P(RepackVariants, GivesTheTensorsOfSglangsTool) {
  const std::string variant = GetParam();
  const fs::path out =
      repacked(variant, raw_export(variant), {"--model-type", kModelTypes.at(variant), "--verify"});
  expect_same_tensors(variant, out, sglang_export(variant));
  EXPECT_EQ(read_text(out / "transformer/config.json"),
            read_text(tiny_model(variant) / "transformer/config.json"));
  // The rest of the model, every file.
  auto expected = files_of(tiny_model(variant)), got = files_of(out);
  const auto is_transformer = [](const auto& file) {
    return file.first.starts_with("transformer");
  };
  std::erase_if(expected, is_transformer);
  std::erase_if(got, is_transformer);
  EXPECT_EQ(got.erase("complete.json"), 1u);
  EXPECT_EQ(got, expected);
  // And it runs.
  const Arguments model = {"--model-path", out};
  EXPECT_EQ(latents(variant, model), latents(variant, {"--model-path", sglang_export(variant)}));
}

TEST_P(RepackVariants, DescriptionIsRenamedAsAWhole) {
  const std::string variant = GetParam();
  const Arguments options = {"--rotations", "--attention-type", "FLOAT"};
  const fs::path out = repacked(variant, raw_export(variant, options));
  expect_same_tensors(variant, out, sglang_export(variant, options));
  const Json got = read_json(out / "transformer/quant_model_description.json");
  Json expected =
      read_json(sglang_export(variant, options) / "transformer/quant_model_description.json");
  // What that tool leaves behind because no tensor has the name.
  for (const std::string block : {"0", "1"}) {
    expected.erase("blocks." + block + ".self_attn.quant_type");
    expected["blocks." + block + ".attn1.quant_type"] = "FLOAT";
  }
  EXPECT_EQ(got, expected);
}

TEST_P(RepackVariants, ShardsGiveTheSame) {
  const std::string variant = GetParam();
  const fs::path out = repacked(variant, raw_export(variant, {"--shards", "3"}));
  expect_same_tensors(variant, out, sglang_export(variant));
  // And many shards of output.
  const fs::path small =
      repacked(variant, raw_export(variant, {"--shards", "3"}), {"--shard-size", "64KiB"});
  EXPECT_TRUE(fs::exists(small / "transformer/diffusion_pytorch_model.safetensors.index.json"));
  expect_same_tensors(variant, small, sglang_export(variant));
}

TEST_P(RepackVariants, OmittedFloatTensorsComeFromTheOriginal) {
  const std::string variant = GetParam();
  const fs::path out = repacked(variant, raw_export(variant, {"--omit-float"}));
  expect_same_tensors(variant, out, sglang_export(variant));
  expect_refused({"repack", "--quant-path", raw_export(variant, {"--omit-float"}), "--output-path",
                  target(), "--layout", "modelslim", "--progress", "none"},
                 3, "missing");
}

TEST_P(RepackVariants, MixedTypes) {
  const std::string variant = GetParam();
  const Arguments options = {"--float-layers", "blocks.0.*,*.ffn.net.2"};
  const fs::path out = repacked(variant, raw_export(variant, options));
  expect_same_tensors(variant, out, sglang_export(variant, options));
}

// From each layout to each other and back: the same files, byte for byte.
TEST_P(RepackVariants, RoundTripsGiveTheSameFiles) {
  const std::string variant = GetParam();
  std::map<std::string, fs::path> made;
  made["diffusers"] = repacked(variant, raw_export(variant));
  // Not from the raw export, whose config.json has members that no other layout can keep.
  for (const char* layout : {"modelslim", "comfy"}) {
    made[layout] = repacked(variant, made["diffusers"], {"--layout", layout});
  }
  for (const auto& [from, source] : made) {
    for (const auto& [to, expected] : made) {
      SCOPED_TRACE(from + " to " + to);
      expect_same_files(repacked(variant, source, {"--layout", to}), expected, {"complete.json"});
    }
  }
  // What the script writes in these layouts is the same too.
  const auto raw_tensors = [&](const fs::path& folder) {
    return variant == "ti2v-5b" ? folder : folder / "high_noise_model";
  };
  EXPECT_EQ(tensor_differences(raw_tensors(made["modelslim"]), raw_tensors(raw_export(variant))),
            "");
  const Json config = read_json(raw_tensors(made["modelslim"]) / "config.json");
  const Json known = read_json(raw_tensors(raw_export(variant)) / "config.json");
  for (const auto& [key, value] : config.items()) EXPECT_EQ(value, known.at(key)) << key;
  // Only the blanks of the markers' JSON may differ.
  const auto files = comfy_files(made["comfy"]), theirs = comfy_files(comfy_export(variant));
  ASSERT_EQ(files.size(), theirs.size());
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(files[i].filename(), theirs[i].filename());
    EXPECT_EQ(tensor_differences(files[i], theirs[i], "*.comfy_quant"), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, RepackVariants, testing::ValuesIn(kVariants),
                         [](const testing::TestParamInfo<const char*>& parameter) {
                           return std::string(parameter.param).substr(0, 3);
                         });

// Every other form can be repacked too.
TEST_F(RepackTest, FormsOfOtherPrograms) {
  const std::string variant = "i2v-a14b";
  const auto expect_sglang = [&](const char* form, const fs::path& source) {
    SCOPED_TRACE(form);
    expect_same_tensors(variant, repacked(variant, source), sglang_export(variant));
  };
  expect_sglang("SGLang", sglang_export(variant));
  expect_sglang("Diffusers names in the description",
                raw_export(variant, {"--description-names", "diffusers"}));
  expect_sglang("ComfyUI", comfy_export(variant));
  expect_sglang(
      "ComfyUI with prefix and metadata",
      comfy_export(variant, {"--prefix", "model.diffusion_model.", "--markers", "metadata"}));
  expect_sglang("vLLM-Omni", config_export(variant));
  expect_sglang("SGLang CUDA", config_export(variant, {"--style", "sglang-cuda"}));
  expect_sglang("compressed-tensors", config_export(variant, {"--style", "compressed-tensors"}));
}

// The file names of msmodelslim's other saver; and a folder whose name means something to a glob,
// which the tool took literally or not as it came.
TEST_F(RepackTest, FilesAreFoundByPattern) {
  const fs::path raw = copy_of(raw_export("t2v-a14b"));
  for (const char* folder : {"high_noise_model", "low_noise_model"}) {
    fs::rename(raw / folder / kRawWeights, raw / folder / "quant_model_weights.safetensors");
    fs::rename(raw / folder / kRawDescription, raw / folder / "quant_model_description.json");
  }
  const fs::path odd = scratch() / "a [b] *?{c}";
  fs::rename(raw, odd);
  expect_same_tensors("t2v-a14b", repacked("t2v-a14b", odd), sglang_export("t2v-a14b"));
}

TEST_F(RepackTest, UnknownModelTypeIsNamedWithTheKnownOnes) {
  for (const char* type : {"Wan2.1-T2V-14B", "wan", ""}) {
    const ProcessResult result =
        run(repack("t2v-a14b", raw_export("t2v-a14b"), target(), {"--model-type", type}));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    for (const auto& [variant, known] : kModelTypes) {
      EXPECT_NE(result.err.find(known), std::string::npos) << result.err;
    }
  }
}

TEST_F(RepackTest, ModelTypeThatTheFilesAreNotIsRefused) {
  expect_refused(
      repack("t2v-a14b", raw_export("t2v-a14b"), target(), {"--model-type", "Wan2.2-I2V-A14B"}), 2,
      "Wan2.2-T2V-A14B");
  expect_refused(
      repack("t2v-a14b", raw_export("t2v-a14b"), target(), {"--model-type", "Wan2.2-TI2V-5B"}), 2,
      "Wan2.2-T2V-A14B");
}

// A tensor that the description does not know, and a name that no tensor has: the tool fails with a
// KeyError on one and keeps the other.
TEST_F(RepackTest, DescriptionThatDoesNotFitTheTensors) {
  const auto edited = [&](const std::function<void(Json&)>& edit) {
    fs::path raw = copy_of(raw_export("t2v-a14b"));
    edit_json(raw / "low_noise_model" / kRawDescription, edit);
    return raw;
  };
  const fs::path lacking = edited([](Json& json) { json.erase("blocks.1.ffn.2.weight"); });
  expect_refused(repack("t2v-a14b", lacking, target()), 3, "blocks.1.ffn");
  const fs::path excess = edited([](Json& json) { json["blocks.7.ffn.2.weight"] = "W8A8_MXFP8"; });
  expect_refused(repack("t2v-a14b", excess, target()), 3, "blocks.7.ffn");
  const fs::path floats = edited([](Json& json) { json.erase("head.head.weight"); });
  expect_same_tensors("t2v-a14b", repacked("t2v-a14b", floats), sglang_export("t2v-a14b"));
}

TEST_F(RepackTest, BothExpertsAreNeededBeforeAnythingIsWritten) {
  for (const char* folder : {"high_noise_model", "low_noise_model"}) {
    const fs::path raw = copy_of(raw_export("t2v-a14b"));
    fs::remove_all(raw / folder);
    expect_refused(repack("t2v-a14b", raw, target()), 3, folder);
    fs::create_directory(raw / folder);
    expect_refused(repack("t2v-a14b", raw, target()), 3, folder);
  }
}

TEST_F(RepackTest, SwappedExpertsAreRefused) {
  for (const char* variant : {"t2v-a14b", "i2v-a14b"}) {
    const fs::path raw = copy_of(raw_export(variant));
    fs::rename(raw / "high_noise_model", raw / "x");
    fs::rename(raw / "low_noise_model", raw / "high_noise_model");
    fs::rename(raw / "x", raw / "low_noise_model");
    expect_refused(repack(variant, raw, target()), 8, "swapped");
  }
}

TEST_F(RepackTest, WithoutDescriptionNothingIsGuessed) {
  const fs::path raw = copy_of(raw_export("t2v-a14b"));
  fs::remove(raw / "low_noise_model" / kRawDescription);
  expect_refused(repack("t2v-a14b", raw, target()), 3, "without a declaration");
}

TEST_F(RepackTest, TwoWeightFilesAreAmbiguous) {
  const fs::path raw = copy_of(raw_export("t2v-a14b"));
  fs::copy_file(raw / "high_noise_model" / kRawWeights,
                raw / "high_noise_model" / "quant_model_weight_w8a8.safetensors");
  expect_refused(repack("t2v-a14b", raw, target()), 3, "quant_model_weight");
}

TEST_F(RepackTest, BadScalesAreRefused) {
  const auto edited = [&](const std::function<void(TensorFile&)>& edit) {
    fs::path raw = copy_of(raw_export("t2v-a14b"));
    edit_tensors(raw / "high_noise_model" / kRawWeights, edit);
    return raw;
  };
  const std::string scale = "blocks.0.cross_attn.o.weight_scale";
  const std::string name = "blocks.0.attn2.to_out.0.weight_scale";
  expect_refused(repack("t2v-a14b", edited([&](TensorFile& f) { f.erase(scale); }), target()), 3,
                 name);
  expect_refused(
      repack("t2v-a14b", edited([&](TensorFile& f) { f.at(scale).bytes[5] = '\xff'; }), target()),
      3, name);
  expect_refused(repack("t2v-a14b", edited([&](TensorFile& f) {
                          std::swap(f.at(scale).shape[0], f.at(scale).shape[1]);
                        }),
                        target()),
                 3, name);
}

TEST_F(RepackTest, OutputIsNeverReplacedUnasked) {
  const fs::path out = repacked("ti2v-5b", raw_export("ti2v-5b"));
  const auto before = files_of(out);
  expect_refused(repack("ti2v-5b", raw_export("ti2v-5b"), out), 2, out.filename());
  EXPECT_EQ(files_of(out), before);
  expect_success(run(repack("ti2v-5b", raw_export("ti2v-5b"), out, {"--overwrite"})));
  expect_same_files(out, repacked("ti2v-5b", raw_export("ti2v-5b")), {"complete.json"});
}

TEST_F(RepackTest, InputIsNeverTheOutput) {
  const fs::path raw = copy_of(raw_export("ti2v-5b"));
  const auto before = files_of(raw);
  for (const fs::path& out : {raw, raw / "inside", scratch()}) {
    const ProcessResult result = run(repack("ti2v-5b", raw, out, {"--overwrite"}));
    EXPECT_NE(result.exit_code, 0) << out;
  }
  EXPECT_EQ(files_of(raw), before);
}

TEST_F(RepackTest, DryRunWritesNothing) {
  const std::set<std::string> before = names(scratch());
  expect_success(run(repack("t2v-a14b", raw_export("t2v-a14b"), target(), {"--dry-run"})));
  EXPECT_EQ(names(scratch()), before);
}

TEST_F(RepackTest, CopyHasNoLinks) {
  const fs::path out = repacked("ti2v-5b", raw_export("ti2v-5b"), {"--copy"});
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    EXPECT_FALSE(entry.is_symlink()) << entry.path();
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(fs::hard_link_count(entry.path()), 1u) << entry.path();
  }
}

}  // namespace
}  // namespace mxvideo::test
