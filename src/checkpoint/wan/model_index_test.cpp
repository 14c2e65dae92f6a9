#include "checkpoint/wan/model_index.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/file/atomic_file.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using mxvideo::test::TemporaryDirectory;
using nlohmann::json;
using test::expect_error_with;

// model_index.json of the published T2V-A14B.
json t2v_index() {
  return {{"_class_name", "WanPipeline"},
          {"_diffusers_version", "0.35.0.dev0"},
          {"boundary_ratio", 0.875},
          {"expand_timesteps", false},
          {"scheduler", {"diffusers", "UniPCMultistepScheduler"}},
          {"text_encoder", {"transformers", "UMT5EncoderModel"}},
          {"tokenizer", {"transformers", "T5TokenizerFast"}},
          {"transformer", {"diffusers", "WanTransformer3DModel"}},
          {"transformer_2", {"diffusers", "WanTransformer3DModel"}},
          {"vae", {"diffusers", "AutoencoderKLWan"}}};
}

json i2v_index() {
  json index = t2v_index();
  index["_class_name"] = "WanImageToVideoPipeline";
  index["boundary_ratio"] = 0.9;
  index["image_encoder"] = {nullptr, nullptr};
  index["image_processor"] = {nullptr, nullptr};
  return index;
}

json ti2v_index() {
  json index = t2v_index();
  index["boundary_ratio"] = nullptr;
  index["expand_timesteps"] = true;
  index["transformer_2"] = {nullptr, nullptr};
  return index;
}

json transformer_config(int in, int out) {
  return {{"_class_name", "WanTransformer3DModel"}, {"in_channels", in}, {"out_channels", out}};
}

json wan_config(const std::string& type, int in, int out) {
  return {{"_class_name", "WanModel"},
          {"model_type", type},
          {"dim", 5120},
          {"ffn_dim", 13824},
          {"freq_dim", 256},
          {"num_heads", 40},
          {"eps", 1e-6},
          {"num_layers", 40},
          {"in_dim", in},
          {"out_dim", out},
          {"text_len", 512}};
}

class ModelDirectoryTest : public testing::Test {
 protected:
  void write(const fs::path& file, const json& content) {
    fs::create_directories((root_ / file).parent_path());
    write_file_atomically(root_ / file, content.dump());
  }
  void write_diffusers(const json& index, const json& config) {
    write("model_index.json", index);
    for (const auto& [name, component] : index.items()) {
      if (!component.is_array() || component[0].is_null()) continue;
      write(fs::path(name) / "config.json", name.starts_with("transformer") ? config : json{});
    }
  }
  void expect_refused(Code code, const std::string& fragment) {
    expect_error_with(code, fragment, [&] { open_model_directory(root_); });
  }

  TemporaryDirectory temporary_;
  fs::path root_ = temporary_.path();
};

TEST_F(ModelDirectoryTest, ReadsTheThreePublishedIndexes) {
  write_diffusers(t2v_index(), transformer_config(16, 16));
  const ModelDirectory t2v = open_model_directory(root_);
  EXPECT_EQ(t2v.variant, WanVariant::kT2V);
  EXPECT_EQ(t2v.layout, ModelLayout::kDiffusers);
  EXPECT_EQ(t2v.index.boundary_ratio, 0.875);
  EXPECT_EQ(t2v.path("transformer_2"), root_ / "transformer_2");
  EXPECT_EQ(t2v.index.components.at("vae").class_name, "AutoencoderKLWan");

  write_diffusers(i2v_index(), transformer_config(36, 16));
  const ModelDirectory i2v = open_model_directory(root_);
  EXPECT_EQ(i2v.variant, WanVariant::kI2V);
  EXPECT_FALSE(i2v.has("image_encoder"));

  write_diffusers(ti2v_index(), transformer_config(48, 48));
  const ModelDirectory ti2v = open_model_directory(root_);
  EXPECT_EQ(ti2v.variant, WanVariant::kTI2V);
  EXPECT_TRUE(ti2v.index.expand_timesteps);
  EXPECT_EQ(ti2v.index.boundary_ratio, std::nullopt);
  expect_error_with(Code::kNotFound, "no component 'transformer_2'",
                    [&] { ti2v.path("transformer_2"); });
}

TEST_F(ModelDirectoryTest, AcceptsOneExpertWithoutBoundary) {
  json index = ti2v_index();
  index["expand_timesteps"] = false;
  write_diffusers(index, transformer_config(16, 16));
  EXPECT_EQ(open_model_directory(root_).variant, WanVariant::kT2V);
}

TEST_F(ModelDirectoryTest, RefusesChannelsThatDoNotFitThePipeline) {
  write_diffusers(t2v_index(), transformer_config(36, 16));
  expect_refused(Code::kCorruptFile,
                 "in_channels: expected 16 for WanPipeline without expand_timesteps");
  write_diffusers(i2v_index(), transformer_config(16, 16));
  expect_refused(Code::kCorruptFile, "in_channels: expected 36 for WanImageToVideoPipeline");
  write_diffusers(t2v_index(), transformer_config(16, 16));
  write("transformer_2/config.json", transformer_config(36, 16));
  expect_refused(Code::kCorruptFile, "transformer_2/config.json: in_channels");
}

TEST_F(ModelDirectoryTest, RefusesAbsentFolders) {
  write_diffusers(t2v_index(), transformer_config(16, 16));
  fs::remove_all(root_ / "vae");
  expect_refused(Code::kNotFound, "component 'vae': no folder " + (root_ / "vae").string());
  fs::remove(root_ / "model_index.json");
  expect_refused(Code::kNotFound, "not a Wan2.2 model: expected model_index.json (Diffusers)");
  expect_error_with(Code::kNotFound, "not a directory",
                    [&] { open_model_directory(root_ / "absent"); });
}

TEST_F(ModelDirectoryTest, RefusesAnotherTransformerClass) {
  json config = transformer_config(16, 16);
  config["_class_name"] = "WanVACETransformer3DModel";
  write_diffusers(t2v_index(), config);
  expect_refused(Code::kUnsupported, "expected WanTransformer3DModel or WanModel, got 'WanVACE");
}

TEST_F(ModelDirectoryTest, ReadsOriginalDirectories) {
  write("high_noise_model/config.json", wan_config("i2v", 36, 16));
  write("low_noise_model/config.json", wan_config("i2v", 36, 16));
  write("Wan2.1_VAE.pth", "x");
  const ModelDirectory model = open_model_directory(root_);
  EXPECT_EQ(model.layout, ModelLayout::kOriginal);
  EXPECT_EQ(model.variant, WanVariant::kI2V);
  EXPECT_EQ(model.index.boundary_ratio, 0.9);
  EXPECT_EQ(model.path("transformer"), root_ / "high_noise_model");
  EXPECT_EQ(model.path("transformer_2"), root_ / "low_noise_model");
  expect_error_with(Code::kNotFound,
                    "no component 'vae': expected Wan2.1_VAE.safetensors, got only Wan2.1_VAE.pth",
                    [&] { model.path("vae"); });
  const json config = model.transformer_config("transformer");
  EXPECT_EQ(config["attention_head_dim"], 128);
  EXPECT_EQ(config["num_attention_heads"], 40);
  EXPECT_EQ(config["in_channels"], 36);
  EXPECT_EQ(config["patch_size"], json({1, 2, 2}));
}

TEST_F(ModelDirectoryTest, ReadsTheOriginal5B) {
  json config = wan_config("ti2v", 48, 48);
  config["dim"] = 3072;
  config["num_heads"] = 24;
  write("config.json", config);
  write("Wan2.2_VAE.safetensors", "x");
  fs::create_directories(root_ / "google/umt5-xxl");
  const ModelDirectory model = open_model_directory(root_);
  EXPECT_EQ(model.variant, WanVariant::kTI2V);
  EXPECT_EQ(model.path("transformer"), root_);
  EXPECT_EQ(model.path("vae"), root_ / "Wan2.2_VAE.safetensors");
  EXPECT_EQ(model.path("tokenizer"), root_ / "google/umt5-xxl");
  EXPECT_FALSE(model.has("transformer_2"));
}

TEST_F(ModelDirectoryTest, RefusesOriginalDirectoriesItCannotRun) {
  write("high_noise_model/config.json", wan_config("t2v", 16, 16));
  expect_refused(Code::kNotFound, "low_noise_model/config.json");
  write("low_noise_model/config.json", wan_config("i2v", 36, 16));
  expect_refused(Code::kCorruptFile, "expected that of the other expert, T2V, got I2V");
  write("low_noise_model/config.json", wan_config("s2v", 16, 16));
  expect_refused(Code::kUnsupported, "expected t2v, i2v or ti2v, got 's2v'");
}

TEST(TransformerConfigFromWan, RefusesBadConfigs) {
  struct BadConfig {
    const char* key;
    json value;
    const char* fragment;
    Code code = Code::kCorruptFile;
  };
  for (const BadConfig& bad : std::vector<BadConfig>{
           {"_class_name", "WanModel_S2V", "expected WanModel, got", Code::kUnsupported},
           {"_class_name", 1, "'_class_name': expected a string"},
           {"dim", 0, "'dim': expected an integer in [1,"},
           {"dim", "5120", "'dim': expected an integer in [1,"},
           {"dim", 5121, "dim: expected a multiple of num_heads 40, got 5121"},
           {"num_heads", 0, "'num_heads': expected an integer in [1,"},
           {"num_heads", -40, "'num_heads': expected an integer in [1,"},
           {"ffn_dim", 1.5, "'ffn_dim': expected an integer"},
           {"num_layers", 1e12, "'num_layers': expected an integer"},
           {"num_layers", nullptr, "'num_layers': expected an integer"},
           {"in_dim", 1 << 20, "'in_dim': expected an integer"},
           {"out_dim", json::array(), "'out_dim': expected an integer"},
           {"eps", -1, "'eps': expected a number in [0, 1]"},
           {"eps", "small", "'eps': expected a number in [0, 1]"},
           {"cross_attn_norm", 1, "'cross_attn_norm': expected true or false"},
       }) {
    json config = wan_config("t2v", 16, 16);
    config[bad.key] = bad.value;
    expect_error_with(bad.code, bad.fragment,
                      [&] { transformer_config_from_wan(config, "config.json"); });
  }
}

TEST(ModelIndex, RefusesMalformedIndexes) {
  struct BadIndex {
    const char* key;
    json value;
    const char* fragment;
    Code code = Code::kCorruptFile;
  };
  for (const BadIndex& bad : std::vector<BadIndex>{
           {"_class_name", nullptr, "'_class_name': expected a string, got null"},
           {"_class_name", "StableDiffusionPipeline", "got 'StableDiffusionPipeline'",
            Code::kUnsupported},
           {"_class_name", "WanVACEPipeline", "_class_name: expected WanPipeline or",
            Code::kUnsupported},
           {"_class_name", "", "_class_name: expected WanPipeline or", Code::kUnsupported},
           {"boundary_ratio", nullptr, "boundary_ratio: expected a number, because"},
           {"boundary_ratio", 1.5, "'boundary_ratio': expected a number in [0, 1], got 1.5"},
           {"boundary_ratio", "0.9", "'boundary_ratio': expected a number in [0, 1]"},
           {"expand_timesteps", 1, "'expand_timesteps': expected true or false"},
           {"transformer_2", nullptr, "boundary_ratio: expected null, because"},
           {"transformer", nullptr, "component 'transformer' is missing"},
           {"vae", {nullptr, nullptr}, "component 'vae' is missing"},
           {"scheduler", nullptr, "component 'scheduler' is missing"},
           {"vae", "AutoencoderKLWan", "component 'vae': expected [\"library\", \"Class\"]"},
           {"vae", {"diffusers"}, "component 'vae': expected [\"library\", \"Class\"]"},
           {"vae", {"diffusers", nullptr}, "component 'vae': expected [\"library\", \"Class\"]"},
           {"vae", {"diffusers", 1}, "component 'vae': expected [\"library\", \"Class\"]"},
           {"vae", 7, "component 'vae': expected [\"library\", \"Class\"]"},
           {"vae",
            {"diffusers", "AutoencoderKL"},
            "expected AutoencoderKLWan, got AutoencoderKL",
            Code::kUnsupported},
           {"scheduler",
            {"diffusers", "DDIMScheduler"},
            "component 'scheduler': expected UniPCMultistepScheduler",
            Code::kUnsupported},
           {"text_encoder",
            {"transformers", "T5EncoderModel"},
            "component 'text_encoder': expected UMT5EncoderModel",
            Code::kUnsupported},
           {"tokenizer",
            {"transformers", "CLIPTokenizer"},
            "component 'tokenizer': expected T5TokenizerFast",
            Code::kUnsupported},
           {"image_encoder",
            {"transformers", "CLIPVisionModel"},
            "component 'image_encoder': expected null, got CLIPVisionModel",
            Code::kUnsupported},
           {"safety_checker",
            {"diffusers", "X"},
            "unknown component 'safety_checker'",
            Code::kUnsupported},
           {"new_option", true, "component 'new_option': expected [\"library\", \"Class\"]"},
       }) {
    json index = t2v_index();
    index[bad.key] = bad.value;
    expect_error_with(
        bad.code, bad.fragment, [&] { parse_model_index(index.dump(), "model_index.json"); },
        std::string(bad.key) + " = " + bad.value.dump());
  }
  expect_error_with(Code::kCorruptFile, "expected an object, got an array of 0",
                    [] { parse_model_index("[]", "model_index.json"); });
  expect_error_with(Code::kCorruptFile, "field '_class_name' is missing",
                    [] { parse_model_index("{}", "model_index.json"); });
}

TEST(DetectVariant, RefusesSenselessChannels) {
  const ModelIndex index = parse_model_index(t2v_index().dump(), "model_index.json");
  for (const json& in : std::vector<json>{0, -16, "16", 1.5, 100'000, nullptr}) {
    json config = transformer_config(16, 16);
    config["in_channels"] = in;
    expect_error_with(
        Code::kCorruptFile, "'in_channels': expected an integer in [1, 65536]",
        [&] { detect_variant(index, config, "config.json"); }, in.dump());
  }
}

}  // namespace
}  // namespace mxvideo::checkpoint
