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

// Everything beside the weights, opened as a run opens it.
TEST_F(VerifyTest, WhatARunReadsIsChecked) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"tokenizer/spiece.model", "tokenizer: "},
      {"scheduler/scheduler_config.json", "scheduler: "},
      {"vae/config.json", "vae: "},
      {"text_encoder/config.json", "text_encoder: "}};
  for (const auto& [file, start] : files) {
    SCOPED_TRACE(file);
    const fs::path model = copy("t2v-a14b");
    write_text(model / file, "{\"a\": 1}");
    const ProcessResult result = run({"verify", model.string()});
    EXPECT_EQ(result.exit_code, 8) << result.err;
    EXPECT_NE(result.out.find("problem: " + start), std::string::npos) << result.out;
    const std::string part = start.substr(0, start.size() - 2);
    EXPECT_EQ(result.out.find("\n" + part + " (file): good"), std::string::npos) << result.out;
    fs::remove_all(model);
  }
  const fs::path model = copy("t2v-a14b");
  fs::remove_all(model / "vae");
  EXPECT_TRUE(lists(failed_report(run({"verify", model.string(), "--json"})), "vae: "));
}

// An index or a config that is no JSON is one problem; the rest is looked at all the same.
TEST_F(VerifyTest, AJsonFileThatCannotBeReadIsOneProblemAmongOthers) {
  for (const std::string file :
       {"model_index.json", "transformer/config.json", "transformer_2/config.json",
        "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json"}) {
    SCOPED_TRACE(file);
    const fs::path model = copy("t2v-a14b");
    write_text(model / file, "{\"a\":");
    edit_tensors(model / "vae" / "diffusion_pytorch_model.safetensors",
                 [](TensorFile& tensors) { tensors.fill_nan("decoder.conv_in.bias"); });
    edit_tensors(model / "transformer" / "diffusion_pytorch_model.safetensors",
                 [](TensorFile& tensors) { tensors.fill_nan("proj_out.bias"); });
    const auto report = failed_report(run({"verify", model.string(), "--json"}));
    EXPECT_TRUE(lists(report, file + ": invalid JSON at byte ")) << report.at("problems");
    EXPECT_TRUE(lists(report, "vae: decoder.conv_in.bias: ")) << report.at("problems");
    // What a transformer's codes mean stands in its config.
    const bool unread = file == "transformer/config.json";
    EXPECT_EQ(lists(report, "transformer: proj_out.bias: "), !unread) << report.at("problems");
    EXPECT_EQ(report.at("problems").size(), unread ? 2u : 3u) << report.at("problems");
    fs::remove_all(model);
  }
}

TEST_F(VerifyTest, TheTwoNamesOfTheEmbeddingMustHoldOneTensor) {
  const fs::path model = copy("t2v-a14b");
  const auto twin = [](bool equal) {
    return [equal](TensorFile& file) {
      TensorFile::Entry other = file.at("shared.weight");
      other.name = "encoder.embed_tokens.weight";
      if (!equal) other.bytes[0] ^= 1;
      std::erase_if(file.entries, [&](const auto& entry) { return entry.name == other.name; });
      file.entries.push_back(other);
    };
  };
  const fs::path weights = model / "text_encoder/model.safetensors";
  edit_tensors(weights, twin(true));
  expect_success(run({"verify", model.string()}));
  edit_tensors(weights, twin(false));
  EXPECT_TRUE(lists(failed_report(run({"verify", model.string(), "--json"})),
                    "text_encoder: " + weights.string() +
                        ": shared.weight and encoder.embed_tokens.weight are two names"));
}

TEST_F(VerifyTest, OneCauseIsOneLine) {
  const fs::path model = copy("t2v-a14b");
  edit_tensors(model / "vae/diffusion_pytorch_model.safetensors", [](TensorFile& file) {
    for (TensorFile::Entry& entry : file.entries) {
      if (entry.name.starts_with("decoder.")) file.fill_nan(entry.name);
    }
  });
  edit_tensors(model / "transformer/diffusion_pytorch_model.safetensors", [](TensorFile& file) {
    for (TensorFile::Entry& entry : file.entries) entry.bytes[0] ^= 1;
  });
  const auto report = failed_report(
      run({"verify", model.string(), "--original", tiny_model("t2v-a14b").string(), "--json"}));
  EXPECT_EQ(report.at("problems").size(), 2u) << report.at("problems");
  EXPECT_TRUE(lists(report, "vae: NaN or infinite values in ")) << report.at("problems");
  EXPECT_TRUE(lists(report, "transformer: values that differ from the original in 69 tensors: "))
      << report.at("problems");
}

// The promised bytes are looked at before anything is called good.
TEST_F(VerifyTest, AFileOfOtherBytesMakesItsPartBad) {
  const fs::path out = scratch() / "out";
  expect_success(run({"quantize", "--model-path", tiny_model("ti2v-5b").string(), "--output",
                      out.string(), "--copy", "--progress", "none"}));
  expect_success(run({"verify", out.string()}));
  edit_tensors(out / "transformer/diffusion_pytorch_model.safetensors",
               [](TensorFile& file) { file.at("proj_out.bias").bytes[0] ^= 1; });
  const ProcessResult result = run({"verify", out.string()});
  EXPECT_EQ(result.exit_code, 8);
  EXPECT_NE(result.out.find(" tensors, BAD"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("transformer/diffusion_pytorch_model.safetensors: expected "),
            std::string::npos)
      << result.out;
}

TEST_F(VerifyTest, WhereThereIsNoModelIsNoMismatch) {
  expect_failure(run({"verify", (scratch() / "nothing").string()}), 3, "nothing");
}

}  // namespace
}  // namespace mxvideo::test
