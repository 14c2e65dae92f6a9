// mxvideo verify: good models pass, everything that is wrong is listed together.
#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

class VerifyTest : public CliTest {
 protected:
  fs::path copy(const std::string& variant) const {
    fs::path path = scratch() / "model";
    fs::copy(tiny_model(variant), path, fs::copy_options::recursive);
    return path;
  }
  // Exit status 8, one line of error, and the report.
  static nlohmann::json failed_report(const ProcessResult& result) {
    EXPECT_EQ(result.exit_code, 8) << result.err;
    EXPECT_TRUE(result.err.starts_with("mxvideo: mismatch: ")) << result.err;
    auto report = nlohmann::json::parse(result.out);
    EXPECT_EQ(report.at("passed"), false);
    return report;
  }
  static bool lists(const nlohmann::json& report, const std::string& fragment) {
    for (const std::string problem : report.at("problems")) {
      if (problem.find(fragment) != std::string::npos) return true;
    }
    return false;
  }
};

TEST_F(VerifyTest, GoodModelsPass) {
  for (const char* variant : {"t2v-a14b", "i2v-a14b", "ti2v-5b"}) {
    const ProcessResult result =
        run({"verify", tiny_model(variant).string(), "--json", "--threads", "2"});
    expect_success(result);
    const auto report = nlohmann::json::parse(result.out);
    EXPECT_EQ(report.at("passed"), true);
    EXPECT_TRUE(report.at("problems").empty());
    EXPECT_GE(report.at("components").size(), 3u);
  }
}

TEST_F(VerifyTest, AModelEqualsItself) {
  const std::string model = tiny_model("t2v-a14b").string();
  const ProcessResult result = run({"verify", model, "--original", model});
  expect_success(result);
  EXPECT_NE(result.out.find("69 tensors equal to the original"), std::string::npos) << result.out;
}

TEST_F(VerifyTest, EverythingWrongIsListedTogether) {
  const fs::path model = copy("t2v-a14b");
  edit_tensors(model / "transformer" / "diffusion_pytorch_model.safetensors",
               [](TensorFile& file) { file.erase("proj_out.bias"); });
  edit_tensors(model / "vae" / "diffusion_pytorch_model.safetensors",
               [](TensorFile& file) { file.fill_nan("decoder.conv_in.bias"); });
  truncate_file(model / "text_encoder" / "model.safetensors");
  const auto report = failed_report(run({"verify", model.string(), "--json"}));
  EXPECT_TRUE(lists(report, "transformer: ")) << report.at("problems");
  EXPECT_TRUE(lists(report, "1 missing: proj_out.bias")) << report.at("problems");
  EXPECT_TRUE(lists(report, "vae: decoder.conv_in.bias: ")) << report.at("problems");
  EXPECT_TRUE(lists(report, "text_encoder: ")) << report.at("problems");
  EXPECT_EQ(report.at("problems").size(), 3u);
}

TEST_F(VerifyTest, ADifferenceFromTheOriginalIsFound) {
  const fs::path model = copy("t2v-a14b");
  edit_tensors(model / "transformer_2" / "diffusion_pytorch_model.safetensors",
               [](TensorFile& file) { file.at("proj_out.bias").bytes[0] ^= 1; });
  const auto report = failed_report(
      run({"verify", model.string(), "--original", tiny_model("t2v-a14b").string(), "--json"}));
  ASSERT_EQ(report.at("problems").size(), 1u) << report.at("problems");
  EXPECT_TRUE(lists(report, "transformer_2: proj_out.bias: 1 of")) << report.at("problems");
}

TEST_F(VerifyTest, WhatCannotBeReadIsNoMismatch) {
  expect_failure(run({"verify", (scratch() / "nothing").string()}), 3, "nothing");
  const fs::path model = copy("t2v-a14b");
  write_text(model / "model_index.json", "{");
  expect_failure(run({"verify", model.string()}), 3, "model_index.json");
}

}  // namespace
}  // namespace mxvideo::test
