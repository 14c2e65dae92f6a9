// What happens with configs and checkpoints that are wrong.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "models/wan_vae/wan_vae_test_support.h"
#include "support/test_support.h"

namespace mxvideo::models {
namespace {

TEST(WanVaeConfig, ReadsBothForms) {
  const WanVaeConfig old_form = load_vae_config("2.1");
  EXPECT_EQ(old_form.base_dim, 5);
  EXPECT_EQ(old_form.decoder_base_dim, 5);
  EXPECT_EQ(old_form.patch_size, 1);
  EXPECT_FALSE(old_form.is_residual);
  EXPECT_EQ(old_form.latents_std.back(), 1.916f);
  const WanVaeConfig new_form = load_vae_config("2.2");
  EXPECT_EQ(new_form.decoder_base_dim, 6);
  EXPECT_EQ(new_form.patch_size, 2);
  EXPECT_TRUE(new_form.is_residual);
  EXPECT_EQ(new_form.scale_factor_spatial, 16);
  EXPECT_EQ(new_form.temporal_downsample, (std::vector<bool>{false, true, true}));
}

struct BadField {
  const char* form;
  const char* field;
  nlohmann::json value;
  Code code = Code::kCorruptFile;
};

TEST(WanVaeConfig, RefusesFieldsThatCannotBe) {
  const std::vector<BadField> cases{
      {"2.1", "_class_name", "AutoencoderKL"},
      {"2.1", "attn_scales", {1.0}, Code::kUnsupported},
      {"2.1", "base_dim", 0},
      {"2.1", "base_dim", "96"},
      {"2.1", "base_dim", 1e9},
      {"2.1", "z_dim", 17},
      {"2.1", "z_dim", -1},
      {"2.1", "dim_mult", nlohmann::json::array()},
      {"2.1", "dim_mult", {1, 2, 4}},
      {"2.1", "dim_mult", {1, 0, 4, 4}},
      {"2.1", "temperal_downsample", {true}},
      {"2.1", "temperal_downsample", {false, false, true}},
      {"2.1", "scale_factor_spatial", 16},
      {"2.1", "scale_factor_temporal", 8},
      {"2.1", "in_channels", 4},
      {"2.1", "out_channels", 12},
      {"2.1", "patch_size", 3},
      {"2.1", "num_res_blocks", 0},
      {"2.1", "latents_mean", nullptr},
      {"2.1", "latents_std", {1.0, 2.0}},
      {"2.1", "latents_std", std::vector<double>(16, 0.0)},
      {"2.1", "latents_mean", std::vector<double>(16, 1e300)},
      {"2.2", "dim_mult", {1, 3, 4, 4}},
      {"2.2", "dim_mult", {3, 4, 64, 1}},
      {"2.2", "patch_size", nullptr},
  };
  for (const BadField& bad : cases) {
    nlohmann::json json = read_json_file(vae_directory(bad.form) + "/config.json");
    json[bad.field] = bad.value;
    const std::string what = std::string(bad.field) + " = " + bad.value.dump();
    SCOPED_TRACE(what);
    const Error error =
        test::expect_error([&] { WanVaeConfig::from_json(json, "vae/config.json"); });
    EXPECT_EQ(error.code(), bad.code) << error.what();
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("vae/config.json")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

Error load_error(const WanVaeConfig& config, checkpoint::Checkpoint checkpoint,
                 WanVaeParts parts = {}) {
  return test::expect_error([&] {
    WanVae vae(config, parts);
    checkpoint::ParameterLoader loader;
    vae.declare_parameters(loader);
    loader.load(checkpoint);
  });
}

checkpoint::Checkpoint open_vae(const std::string& form) {
  return checkpoint::Checkpoint::open_directory(vae_directory(form));
}

TEST(WanVaeLoad, RefusesAMissingAndAnUnexpectedTensor) {
  for (const WanVaeParts parts : {WanVaeParts{}, WanVaeParts{.encoder = false}}) {
    checkpoint::Checkpoint renamed = open_vae("2.1");
    renamed.rename({{"encoder.conv_in.bias", "encoder.conv_inn.bias"}});
    const Error error = load_error(load_vae_config("2.1"), std::move(renamed), parts);
    EXPECT_EQ(error.code(), Code::kCorruptFile);
    const std::string message = error.what();
    EXPECT_NE(message.find("encoder.conv_in.bias"), std::string::npos) << message;
    EXPECT_NE(message.find("encoder.conv_inn.bias"), std::string::npos) << message;
  }
}

TEST(WanVaeLoad, RefusesWrongShapes) {
  WanVaeConfig config = load_vae_config("2.1");
  config.decoder_base_dim = 6;
  const Error error = load_error(config, open_vae("2.1"));
  EXPECT_EQ(error.code(), Code::kCorruptFile);
  EXPECT_NE(std::string(error.what()).find("decoder.conv_in.weight"), std::string::npos)
      << error.what();
}

TEST(WanVaeLoad, RefusesTheCheckpointOfAnotherForm) {
  EXPECT_EQ(load_error(load_vae_config("2.2"), open_vae("2.1")).code(), Code::kCorruptFile);
  EXPECT_EQ(load_error(load_vae_config("2.1"), open_vae("2.2")).code(), Code::kCorruptFile);
}

// 194 and 196 tensors: every one is either a weight or a bias of what was declared.
TEST(WanVaeLoad, ReadsEveryTensorAndOnlyTheHalfThatIsUsed) {
  for (const auto& [form, tensors] : {std::pair<std::string, int64_t>{"2.1", 194}, {"2.2", 196}}) {
    const checkpoint::Checkpoint checkpoint = open_vae(form);
    EXPECT_EQ(static_cast<int64_t>(checkpoint.tensors().size()), tensors) << form;
    int64_t halves = 0;
    for (const WanVaeParts parts : {WanVaeParts{.encoder = false}, WanVaeParts{.decoder = false}}) {
      WanVae vae(load_vae_config(form), parts);
      checkpoint::ParameterLoader loader;
      vae.declare_parameters(loader);
      const int64_t read = loader.load(checkpoint).tensors;
      EXPECT_LT(read, tensors) << form;
      halves += read;
      EXPECT_LT(vae.weight_bytes(), shared_vae(form).weight_bytes());
    }
    EXPECT_EQ(halves, tensors) << form;
  }
}

}  // namespace
}  // namespace mxvideo::models
