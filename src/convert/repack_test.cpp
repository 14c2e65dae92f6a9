#include "convert/repack.h"

#include <gtest/gtest.h>

#include "base/text/field.h"
#include "checkpoint/wan/key_map.h"
#include "convert/convert_test_support.h"
#include "convert/repack_expert.h"
#include "support/test_support.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using test::bytes_of_file;
using test::edit_json;
using test::edit_tensors;
using test::expect_error_with;
using test::files_of;
using test::golden_model;
using test::json_of_file;
using test::read_tensors;
using test::repack_options;
using test::StoredTensors;

constexpr const char* kRawWeights = "quant_model_weight_w8a8_mxfp8.safetensors";
constexpr const char* kRawDescription = "quant_model_description_w8a8_mxfp8.json";

class RepackTest : public testing::Test {
 protected:
  fs::path out(const std::string& name = "out") const { return folder_.path() / name; }

  // A quantized model in the layout of msmodelslim, writable.
  fs::path raw_model(const std::string& golden) const {
    QuantizeOptions options =
        test::quantize_options(golden_model(golden), out("raw"), Layout::kModelSlim);
    quantize_model(options, {});
    fs::remove(out("raw") / "complete.json");
    return out("raw");
  }

  void expect_failure(Code code, const std::string& fragment, const RepackOptions& options) const {
    expect_error_with(code, fragment, [&] { repack_model(options, {}); });
    EXPECT_FALSE(fs::exists(options.output.path));
    EXPECT_FALSE(fs::exists(options.output.path.string() + ".partial"));
  }

  mxvideo::test::TemporaryDirectory folder_;
};

class RepackModels : public RepackTest, public testing::WithParamInterface<const char*> {};

// raw -> Diffusers -> ComfyUI -> raw and the other way round: the same files as at first.
TEST_P(RepackModels, RoundTripsAreBitIdentical) {
  const fs::path original = golden_model(GetParam());
  const fs::path raw = raw_model(GetParam());
  const auto expected = files_of(raw);
  const std::vector<std::vector<Layout>> tours = {
      {Layout::kDiffusers, Layout::kComfy, Layout::kModelSlim},
      {Layout::kComfy, Layout::kDiffusers, Layout::kModelSlim},
      {Layout::kDiffusers, Layout::kModelSlim},
      {Layout::kModelSlim}};
  for (size_t tour = 0; tour < tours.size(); ++tour) {
    fs::path from = raw;
    for (const Layout layout : tours[tour]) {
      const fs::path to = out(std::to_string(tour) + std::string(layout_name(layout)));
      RepackOptions options = repack_options(from, to, layout);
      options.original = original;
      EXPECT_EQ(repack_model(options, {})["verified"], true);
      from = to;
    }
    auto files = files_of(from);
    files.erase("complete.json");
    EXPECT_EQ(files.size(), expected.size());
    for (const auto& [name, bytes] : expected) {
      EXPECT_TRUE(files[name] == bytes) << name << " after tour " << tour;
    }
  }
}

// The same for a model that is not quantized, ending at what the Diffusers directory holds.
TEST_P(RepackModels, FloatModelsKeepEveryTensor) {
  const fs::path original = golden_model(GetParam());
  repack_model(repack_options(original, out("raw"), Layout::kModelSlim), {});
  RepackOptions options = repack_options(out("raw"), out("comfy"), Layout::kComfy);
  options.original = original;
  repack_model(options, {});
  options = repack_options(out("comfy"), out("back"), Layout::kDiffusers);
  options.original = original;
  repack_model(options, {});
  const auto tensors_of = [](const fs::path& folder) {
    StoredTensors all;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".safetensors") all.merge(read_tensors(entry.path()));
    }
    return all;
  };
  for (const char* component : {"transformer", "transformer_2"}) {
    if (!fs::exists(original / component)) continue;
    const StoredTensors expected = tensors_of(original / component);
    const StoredTensors written = tensors_of(out("back") / component);
    ASSERT_EQ(written.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      EXPECT_EQ(written.at(name).dtype, tensor.dtype) << name;
      EXPECT_EQ(written.at(name).shape, tensor.shape) << name;
      EXPECT_TRUE(written.at(name).bytes == tensor.bytes) << name;
    }
    EXPECT_EQ(bytes_of_file(out("back") / component / "config.json"),
              bytes_of_file(original / component / "config.json"));
    EXPECT_FALSE(fs::exists(out("back") / component / "quant_model_description.json"));
  }
  EXPECT_EQ(bytes_of_file(out("back") / "model_index.json"),
            bytes_of_file(original / "model_index.json"));
}

INSTANTIATE_TEST_SUITE_P(Models, RepackModels, testing::Values("t2v-a14b", "i2v-a14b", "ti2v-5b"));

TEST_F(RepackTest, DetectsTheModelType) {
  const fs::path raw = raw_model("i2v-a14b");
  RepackOptions options = repack_options(raw, out(), Layout::kComfy);
  options.model_type = checkpoint::WanVariant::kT2V;
  expect_failure(Code::kInvalidArgument, "holds Wan2.2-I2V-A14B", options);
  options.model_type = checkpoint::WanVariant::kI2V;
  EXPECT_EQ(repack_model(options, {})["model_type"], "Wan2.2-I2V-A14B");
}

TEST_F(RepackTest, DiffusersLayoutNeedsAModel) {
  expect_failure(Code::kInvalidArgument,
                 "name a Diffusers directory with " + field("original_model_path"),
                 repack_options(raw_model("ti2v-5b"), out(), Layout::kDiffusers));
}

TEST_F(RepackTest, AMissingExpertIsTheFirstError) {
  const fs::path raw = raw_model("t2v-a14b");
  fs::remove_all(raw / "low_noise_model");
  test::write_file(raw / "high_noise_model" / kRawWeights, "broken");  // not looked at
  RepackOptions options = repack_options(raw, out(), Layout::kDiffusers);
  options.original = golden_model("t2v-a14b");
  expect_failure(Code::kNotFound, "no folder low_noise_model", options);
}

TEST_F(RepackTest, SwappedExpertsAreAnError) {
  const fs::path raw = raw_model("t2v-a14b");
  fs::rename(raw / "high_noise_model", raw / "x");
  fs::rename(raw / "low_noise_model", raw / "high_noise_model");
  fs::rename(raw / "x", raw / "low_noise_model");
  RepackOptions options = repack_options(raw, out(), Layout::kDiffusers);
  options.original = golden_model("t2v-a14b");
  expect_failure(Code::kMismatch, "the experts are swapped", options);
}

TEST_F(RepackTest, OverlaysFloatTensorsFromTheOriginal) {
  const fs::path raw = raw_model("ti2v-5b");
  const auto drop = [](StoredTensors& tensors) {
    tensors.erase("patch_embedding.weight");
    tensors.erase("head.modulation");
    tensors.erase("blocks.1.norm3.bias");
  };
  edit_tensors(raw / kRawWeights, drop);
  edit_json(raw / kRawDescription, [](nlohmann::ordered_json& json) {
    json.erase("patch_embedding.weight");
    json.erase("head.modulation");
  });
  RepackOptions options = repack_options(raw, out(), Layout::kModelSlim);
  expect_failure(Code::kCorruptFile, "3 missing: patch_embedding.weight", options);
  options.original = golden_model("ti2v-5b");
  const auto result = repack_model(options, {});
  EXPECT_EQ(result["components"][0]["overlaid"],
            (nlohmann::ordered_json{"patch_embedding.weight", "scale_shift_table",
                                    "blocks.1.norm2.bias"}));
  const StoredTensors original =
      read_tensors(golden_model("ti2v-5b") / "transformer/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(read_tensors(out() / kRawWeights).at("head.modulation").bytes,
            original.at("scale_shift_table").bytes);
  EXPECT_EQ(json_of_file(out() / kRawDescription)["head.modulation"], "FLOAT");
}

TEST_F(RepackTest, NeverOverlaysQuantizedTensors) {
  const fs::path raw = raw_model("ti2v-5b");
  edit_tensors(raw / kRawWeights,
               [](StoredTensors& tensors) { tensors.erase("blocks.0.self_attn.q.weight_scale"); });
  RepackOptions options = repack_options(raw, out(), Layout::kDiffusers);
  options.original = golden_model("ti2v-5b");
  expect_failure(Code::kCorruptFile, "blocks.0.attn1.to_q.weight_scale", options);
}

TEST_F(RepackTest, NanScalesAreAnError) {
  const fs::path raw = raw_model("ti2v-5b");
  edit_tensors(raw / kRawWeights, [](StoredTensors& tensors) {
    tensors.at("blocks.0.self_attn.q.weight_scale").bytes[5] = '\xff';
  });
  expect_failure(Code::kCorruptFile, "blocks.0.attn1.to_q.weight_scale",
                 repack_options(raw, out(), Layout::kComfy));
}

TEST_F(RepackTest, NanCodesAreAnError) {
  const fs::path raw = raw_model("ti2v-5b");
  edit_tensors(raw / kRawWeights, [](StoredTensors& tensors) {
    auto& weight = tensors.at("blocks.1.ffn.0.weight");
    weight.bytes[static_cast<size_t>(3 * weight.shape[1] + 5)] = '\xff';
  });
  expect_failure(Code::kCorruptFile,
                 "blocks.1.ffn.0.weight: row 3 holds NaN codes; expected finite values",
                 repack_options(raw, out(), Layout::kComfy));
}

TEST_F(RepackTest, DescriptionMustNameTensors) {
  const fs::path raw = raw_model("ti2v-5b");
  edit_json(raw / kRawDescription, [](nlohmann::ordered_json& json) {
    json["blocks.0.self_attn.norm_x.weight"] = "FLOAT";
  });
  expect_failure(Code::kCorruptFile, "1 name is no tensor of",
                 repack_options(raw, out(), Layout::kComfy));
}

TEST_F(RepackTest, ForeignTypesAreRefusedByName) {
  const fs::path raw = raw_model("ti2v-5b");
  edit_json(raw / kRawDescription, [](nlohmann::ordered_json& json) {
    json["blocks.0.self_attn.q.weight"] = "W8A8_DYNAMIC";
  });
  expect_failure(Code::kUnsupported, "blocks.0.attn1.to_q (W8A8_DYNAMIC)",
                 repack_options(raw, out(), Layout::kComfy));
}

TEST_F(RepackTest, RenamesDescriptionOnlyKeysBothWays) {
  const fs::path raw = raw_model("ti2v-5b");
  edit_json(raw / kRawDescription, [](nlohmann::ordered_json& json) {
    json["blocks.0.self_attn.quant_type"] = "FP8_DYNAMIC";
    json["metadata"] = {{"group_size", 32}};
  });
  RepackOptions options = repack_options(raw, out("diffusers"), Layout::kDiffusers);
  options.original = golden_model("ti2v-5b");
  repack_model(options, {});
  const auto renamed = json_of_file(out("diffusers") / "transformer/quant_model_description.json");
  EXPECT_EQ(renamed["blocks.0.attn1.quant_type"], "FP8_DYNAMIC");
  EXPECT_EQ(renamed["metadata"]["group_size"], 32);
  for (const auto& [name, value] : renamed.items()) {
    EXPECT_EQ(name.find("self_attn"), std::string::npos) << name;
  }
  repack_model(repack_options(out("diffusers"), out("comfy"), Layout::kComfy), {});
  options = repack_options(out("comfy"), out("back"), Layout::kModelSlim);
  options.original = golden_model("ti2v-5b");
  repack_model(options, {});
  EXPECT_EQ(json_of_file(out("back") / kRawDescription), json_of_file(raw / kRawDescription));
}

TEST_F(RepackTest, KeepsRotationsUnderBothSpellings) {
  const fs::path raw = raw_model("ti2v-5b");
  edit_tensors(raw / kRawWeights, [](StoredTensors& tensors) {
    std::string identity(size_t{24} * 24 * 4, '\0');
    for (size_t i = 0; i < 24; ++i) identity.replace((i * 24 + i) * 4, 4, "\0\0\x80\x3f", 4);
    for (const char* name : {"blocks.0.self_attn.q_rot", "blocks.0.self_attn.k_rot"}) {
      tensors[name] = {.dtype = DType::kF32, .shape = {24, 24}, .bytes = identity};
    }
  });
  RepackOptions options = repack_options(raw, out("diffusers"), Layout::kDiffusers);
  options.original = golden_model("ti2v-5b");
  repack_model(options, {});
  EXPECT_TRUE(read_tensors(out("diffusers") / "transformer/diffusion_pytorch_model.safetensors")
                  .count("blocks.0.attn1.to_q_rot"));
  repack_model(repack_options(out("diffusers"), out("back"), Layout::kModelSlim), {});
  EXPECT_TRUE(read_tensors(out("back") / kRawWeights).count("blocks.0.self_attn.q_rot"));
}

TEST_F(RepackTest, ReadsConfigDeclaredModelsAndTheirE8m0Scales) {
  // As vLLM-Omni writes it: the declaration in config.json, scales typed F8_E8M0.
  QuantizeOptions quantize =
      test::quantize_options(golden_model("ti2v-5b"), out("model"), Layout::kDiffusers);
  quantize_model(quantize, {});
  const fs::path folder = out("model") / "transformer";
  const std::string description = bytes_of_file(folder / "quant_model_description.json");
  fs::remove(folder / "quant_model_description.json");
  edit_json(folder / "config.json", [](nlohmann::ordered_json& config) {
    config["quantization_config"] = {{"quant_method", "mxfp8"}};
  });
  edit_tensors(folder / "diffusion_pytorch_model.safetensors", [](StoredTensors& tensors) {
    for (auto& [name, tensor] : tensors) {
      if (name.ends_with("_scale")) tensor.dtype = DType::kF8E8M0;
    }
  });
  repack_model(repack_options(out("model"), out(), Layout::kDiffusers), {});
  EXPECT_EQ(bytes_of_file(out() / "transformer/quant_model_description.json"), description);
  EXPECT_FALSE(json_of_file(out() / "transformer/config.json").contains("quantization_config"));
  const StoredTensors written =
      read_tensors(out() / "transformer/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(written.at("blocks.0.attn1.to_q.weight_scale").dtype, DType::kU8);
}

TEST_F(RepackTest, VerifyFindsDifferences) {
  const fs::path raw = raw_model("ti2v-5b");
  fs::copy(raw, out("changed"), fs::copy_options::recursive);
  const TransformerSource source = open_transformer_source(kHighNoiseExpert, raw);
  const RepackExpert expert = prepare_expert(source, nullptr);
  verify_expert(expert, out("changed"));
  const auto expect_found = [&](const std::string& tensor, size_t byte,
                                const std::string& fragment) {
    fs::copy_file(raw / kRawWeights, out("changed") / kRawWeights,
                  fs::copy_options::overwrite_existing);
    edit_tensors(out("changed") / kRawWeights,
                 [&](StoredTensors& tensors) { tensors.at(tensor).bytes[byte] ^= 1; });
    expect_error_with(Code::kMismatch, fragment, [&] { verify_expert(expert, out("changed")); });
  };
  expect_found("blocks.0.self_attn.q.weight", 9000, "blocks.0.attn1.to_q.weight differs");
  expect_found("blocks.0.self_attn.q.weight_scale", 3, "blocks.0.attn1.to_q.weight_scale differs");
  expect_found("blocks.1.ffn.2.bias", 0, "blocks.1.ffn.net.2.bias differs");
}

TEST_F(RepackTest, KeepsTheOriginalsWanConfig) {
  // The original model in the original layout, with a config that only its own bytes can give.
  repack_model(repack_options(golden_model("ti2v-5b"), out("wan"), Layout::kModelSlim), {});
  fs::remove(out("wan") / "complete.json");
  edit_json(out("wan") / "config.json",
            [](nlohmann::ordered_json& json) { json["_diffusers_version"] = "0.33.0"; });
  const std::string expected = bytes_of_file(out("wan") / "config.json");
  quantize_model(
      test::quantize_options(golden_model("ti2v-5b"), out("diffusers"), Layout::kDiffusers), {});
  RepackOptions options = repack_options(out("diffusers"), out("back"), Layout::kModelSlim);
  options.original = out("wan");
  repack_model(options, {});
  EXPECT_EQ(bytes_of_file(out("back") / "config.json"), expected);
}

// A WanModel's config has fields that a Diffusers config cannot tell.
TEST_F(RepackTest, KeepsTheExportsConfigThroughOtherLayouts) {
  const fs::path raw = raw_model("ti2v-5b");
  edit_json(raw / "config.json",
            [](nlohmann::ordered_json& json) { json["_diffusers_version"] = "0.33.0"; });
  RepackOptions options = repack_options(raw, out("diffusers"), Layout::kDiffusers);
  options.original = golden_model("ti2v-5b");
  repack_model(options, {});
  options = repack_options(out("diffusers"), out("comfy"), Layout::kComfy);
  repack_model(options, {});
  options = repack_options(out("comfy"), out("back"), Layout::kModelSlim);
  repack_model(options, {});
  EXPECT_EQ(bytes_of_file(out("back") / "config.json"), bytes_of_file(raw / "config.json"));
  EXPECT_EQ(bytes_of_file(out("back") / kRawWeights), bytes_of_file(raw / kRawWeights));
}

TEST_F(RepackTest, RefusesAnOriginalOfAnotherModel) {
  RepackOptions options = repack_options(raw_model("ti2v-5b"), out(), Layout::kDiffusers);
  options.original = golden_model("t2v-a14b");
  expect_failure(Code::kInvalidArgument, "but ", options);
}

TEST_F(RepackTest, LinksOfTheRestStayInsideTheModel) {
  const fs::path model = out("model");
  fs::copy(golden_model("ti2v-5b"), model, fs::copy_options::recursive);
  fs::create_symlink("/etc/hostname", model / "notes.txt");
  expect_failure(Code::kUnsupported, "notes.txt", repack_options(model, out(), Layout::kDiffusers));
}

}  // namespace
}  // namespace mxvideo::convert
