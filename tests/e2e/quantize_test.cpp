// mxvideo quantize: the bits of the independent script in every layout, and those of the online
// scheme.
#include "base/sha256.h"
#include "e2e/quantized_fixture.h"
#include "support/golden_file.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class QuantizeTest : public QuantizedTest {
 protected:
  Arguments quantize(const fs::path& model, const fs::path& out, const Arguments& extra) const {
    Arguments arguments = {"quantize", "--model-path", model, "--output",
                           out,        "--progress",   "none"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return arguments;
  }

  fs::path quantized(const fs::path& model, const Arguments& extra) const {
    fs::path out;
    for (int i = 0; out.empty() || fs::exists(out); ++i) {
      out = scratch() / ("out" + std::to_string(i));
    }
    const ProcessResult result = run(quantize(model, out, extra));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return out;
  }
};

struct Rule {
  const char* name;
  Arguments product, script;
};

const Rule kRules[] = {
    {"msmodelslim",
     {"--mx-scale-rule", "floor", "--rounding", "half-away"},
     {"--rule", "floor", "--rounding", "half-away"}},
    {"ocp", {"--mx-scale-rule", "floor"}, {"--rule", "floor", "--rounding", "even"}},
    {"default", {}, {"--rule", "rceil", "--rounding", "even"}},
};

class QuantizeVariants : public QuantizeTest,
                         public testing::WithParamInterface<std::tuple<const char*, Rule>> {
 protected:
  std::string variant() const { return std::get<0>(GetParam()); }
  const Rule& rule() const { return std::get<1>(GetParam()); }
  fs::path in_layout(const char* layout) const {
    Arguments extra = rule().product;
    extra.insert(extra.end(), {"--layout", layout});
    return quantized(tiny_model(variant()), extra);
  }
  bool two() const { return variant() != "ti2v-5b"; }
};

TEST_P(QuantizeVariants, ModelSlimLayoutIsTheScripts) {
  const fs::path out = in_layout("modelslim"), expected = raw_export(variant(), rule().script);
  for (const char* folder : {"high_noise_model", "low_noise_model"}) {
    const char* expert = two() ? folder : ".";
    EXPECT_EQ(tensor_differences(out / expert, expected / expert), "") << folder;
    const std::string name = "quant_model_description_w8a8_mxfp8.json";
    Json mine = read_json(out / expert / name), theirs = read_json(expected / expert / name);
    for (const char* member : {"version", "group_size", "metadata", "optional"}) {
      mine.erase(member);
      theirs.erase(member);
    }
    EXPECT_EQ(mine, theirs);
  }
}

TEST_P(QuantizeVariants, DiffusersLayoutIsTheScripts) {
  const fs::path out = in_layout("diffusers"), expected = sglang_export(variant(), rule().script);
  for (const char* folder : {"transformer", "transformer_2"}) {
    if (!two() && std::string(folder) == "transformer_2") continue;
    EXPECT_EQ(tensor_differences(out / folder, expected / folder), "") << folder;
  }
}

TEST_P(QuantizeVariants, ComfyLayoutIsTheScripts) {
  const fs::path out = in_layout("comfy"), expected = comfy_export(variant(), rule().script);
  const auto mine = comfy_files(out), theirs = comfy_files(expected);
  ASSERT_EQ(mine.size(), theirs.size());
  for (size_t i = 0; i < mine.size(); ++i) {
    EXPECT_EQ(mine[i].filename(), theirs[i].filename());
    // Only the blanks of the markers' JSON may differ.
    EXPECT_EQ(tensor_differences(mine[i], theirs[i], "*.comfy_quant"), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, QuantizeVariants,
                         testing::Combine(testing::ValuesIn(kVariants), testing::ValuesIn(kRules)),
                         [](const testing::TestParamInfo<QuantizeVariants::ParamType>& parameters) {
                           return std::string(std::get<0>(parameters.param)).substr(0, 3) + "_" +
                                  std::get<1>(parameters.param).name;
                         });

// torchao's codes and scales, in a file that the Python library would have written to the byte.
TEST_F(QuantizeTest, FilesAreThoseOfTorchaoAndSafetensors) {
  const Json expected = read_json(golden_path("offline/quantized_files.json"));
  EXPECT_EQ(expected.size(), 3u);
  std::map<std::string, fs::path> models;
  for (const auto& [file, sha256] : expected.items()) {
    const std::string variant = file.substr(0, file.find('/'));
    fs::path& model = models[variant];
    if (model.empty()) model = quantized(tiny_model(variant), {"--layout", "diffusers"});
    EXPECT_EQ(sha256_file(model / file.substr(variant.size() + 1)), sha256) << file;
  }
}

// The same rule online and offline: the same latents.
TEST_F(QuantizeTest, OnlineEqualsOffline) {
  for (const char* variant : kVariants) {
    for (const char* rule : {"floor", "rceil", "ceil", "even"}) {
      SCOPED_TRACE(std::string(variant) + " " + rule);
      const std::string online =
          latents(variant, {"--quantization", "mxfp8", "--mx-scale-rule", rule,
                            "--quantization-ignored-layers", "blocks.0.attn1.*"});
      const fs::path out =
          quantized(tiny_model(variant), {"--mx-scale-rule", rule, "--layout", "diffusers",
                                          "--ignored-layers", "blocks.0.attn1.*"});
      EXPECT_TRUE(latents(variant, {"--model-path", out, "--mx-scale-rule", rule}) == online);
    }
  }
}

TEST_F(QuantizeTest, IgnoredLayersStayFloatAndAreDeclared) {
  const fs::path out = quantized(tiny_model("t2v-a14b"), {"--ignored-layers", "blocks.0.*"});
  const Json description = read_json(out / "transformer/quant_model_description.json");
  EXPECT_EQ(description.at("blocks.0.attn1.to_q.weight"), "FLOAT");
  EXPECT_FALSE(description.contains("blocks.0.attn1.to_q.weight_scale"));
  EXPECT_EQ(description.at("blocks.1.attn1.to_q.weight"), "W8A8_MXFP8");
  const auto file =
      TensorFile::read(out / "transformer/diffusion_pytorch_model.safetensors").entries;
  const auto source =
      TensorFile::read(tiny_model("t2v-a14b") / "transformer/diffusion_pytorch_model.safetensors");
  for (const TensorFile::Entry& entry : file) {
    if (!entry.name.starts_with("blocks.0.")) continue;
    TensorFile original = source;
    EXPECT_EQ(entry.dtype, original.at(entry.name).dtype) << entry.name;
    EXPECT_TRUE(entry.bytes == original.at(entry.name).bytes) << entry.name;
  }
}

TEST_F(QuantizeTest, NothingIsQuantizedTwice) {
  for (const fs::path& model : {sglang_export("t2v-a14b"), config_export("t2v-a14b")}) {
    expect_failure(run(quantize(model, scratch() / "out", {})), 2, "quantized");
    EXPECT_FALSE(fs::exists(scratch() / "out"));
  }
}

// Keeps the first `extent` of the last axis.
void crop_rows(TensorFile::Entry& entry, int64_t extent) {
  const auto old_extent = static_cast<size_t>(entry.shape.back());
  size_t rows = 1;
  for (size_t axis = 0; axis + 1 < entry.shape.size(); ++axis) {
    rows *= static_cast<size_t>(entry.shape[axis]);
  }
  const size_t row_bytes = entry.bytes.size() / rows;
  const size_t kept = row_bytes / old_extent * static_cast<size_t>(extent);
  std::string bytes;
  for (size_t row = 0; row < rows; ++row) bytes += entry.bytes.substr(row * row_bytes, kept);
  entry.bytes = bytes;
  entry.shape.back() = extent;
}

// A model of another width, as a whole.
TEST_F(QuantizeTest, LayersThatCannotBeQuantized) {
  const fs::path model = copy_of(tiny_model("ti2v-5b"));
  edit_json(model / "transformer/config.json", [](Json& json) { json["ffn_dim"] = 216; });
  edit_tensors(model / "transformer/diffusion_pytorch_model.safetensors", [](TensorFile& file) {
    for (const std::string block : {"blocks.0.ffn.net.", "blocks.1.ffn.net."}) {
      TensorFile::Entry& up = file.at(block + "0.proj.weight");
      up.bytes.resize(up.bytes.size() / 224 * 216);
      up.shape[0] = 216;
      crop_rows(file.at(block + "0.proj.bias"), 216);
      crop_rows(file.at(block + "2.weight"), 216);
    }
  });
  expect_success(run(generate("ti2v-5b", {"--model-path", model, "-o", scratch() / "v.y4m"})));
  expect_failure(run(quantize(model, scratch() / "out", {})), 3, "multiple of 32, got 216");
  EXPECT_FALSE(fs::exists(scratch() / "out"));
  const fs::path out = quantized(model, {"--ignored-layers", "*.ffn.net.2"});
  EXPECT_FALSE(latents("ti2v-5b", {"--model-path", out}).empty());
}

TEST_F(QuantizeTest, NanInAWeightIsRefused) {
  const fs::path model = copy_of(tiny_model("ti2v-5b"));
  edit_tensors(model / "transformer/diffusion_pytorch_model.safetensors",
               [](TensorFile& file) { file.fill_nan("blocks.1.ffn.net.2.weight"); });
  expect_failure(run(quantize(model, scratch() / "out", {})), 3, "blocks.1.ffn.net.2");
  EXPECT_FALSE(fs::exists(scratch() / "out"));
}

TEST_F(QuantizeTest, GlobThatMatchesNothingIsRefused) {
  expect_failure(run(quantize(tiny_model("t2v-a14b"), scratch() / "out",
                              {"--ignored-layers", "blocks.*.attn3.*"})),
                 2, "blocks.*.attn3.*");
}

// The original layout of Wan's own files as the source, and ComfyUI's.
TEST_F(QuantizeTest, EverySourceGivesTheSame) {
  const std::string variant = "i2v-a14b";
  const fs::path model = tiny_model(variant), expected = sglang_export(variant);
  // Without a quantized layer the script's forms are the float model in that layout.
  const Arguments rule = {"--mx-scale-rule",       "floor", "--rounding", "half-away",
                          "--original-model-path", model,   "--layout",   "diffusers"};
  const fs::path comfy = copy_of(comfy_export(variant, {"--float-layers", "*"}));
  for (const fs::path& file : comfy_files(comfy)) {
    std::string name = file.filename();
    fs::rename(file, comfy / name.replace(name.find("_mxfp8"), 6, ""));
  }
  const fs::path raw = copy_of(raw_export(variant, {"--float-layers", "*"}));
  for (const char* folder : {"high_noise_model", "low_noise_model"}) {
    fs::remove(raw / folder / "quant_model_description_w8a8_mxfp8.json");
    fs::rename(raw / folder / "quant_model_weight_w8a8_mxfp8.safetensors",
               raw / folder / "diffusion_pytorch_model.safetensors");
  }
  for (const fs::path& source : {raw, comfy}) {
    SCOPED_TRACE(source);
    const fs::path out = quantized(source, rule);
    EXPECT_EQ(tensor_differences(out / "transformer", expected / "transformer"), "");
    EXPECT_EQ(tensor_differences(out / "transformer_2", expected / "transformer_2"), "");
  }
}

}  // namespace
}  // namespace mxvideo::test
