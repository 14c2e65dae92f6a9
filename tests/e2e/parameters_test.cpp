// Parameters that change nothing, or something else than they say, are said; and what a run saved
// goes where it belongs.
#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

class ParametersTest : public CliTest {
 protected:
  // Notes of a run, and its report.
  std::pair<std::string, nlohmann::json> run_with(Arguments extra) const {
    extra.insert(extra.end(), {"-o", "v.y4m", "--report", "r.json", "--overwrite"});
    const ProcessResult result = run(generate("t2v-a14b", extra));
    expect_success(result);
    return {result.err, read_json(work() / "r.json")};
  }
  static void expect_note(const std::string& said, const std::string& part) {
    const size_t at = said.find(part);
    ASSERT_NE(at, std::string::npos) << part << "\n" << said;
    EXPECT_TRUE(said.substr(said.rfind('\n', at) + 1).starts_with("note: ")) << said;
  }
};

TEST_F(ParametersTest, TheRecipeSaysWhatEachExpertComputed) {
  const auto [said, recipe] = run_with({"--guidance-scale", "1", "--guidance-scale-2", "4"});
  EXPECT_EQ(recipe.at("guidance_scale"), 1);
  EXPECT_EQ(recipe.at("guidance_scale_2"), 4);
  EXPECT_EQ(recipe.at("expert_steps").at("transformer_2"), 1);
  const std::string second = read_text(work() / "v.y4m");
  run_with({"--guidance-scale", "1", "--guidance-scale-2", "1"});
  EXPECT_NE(second, read_text(work() / "v.y4m")) << "the second scale changed nothing";
}

TEST_F(ParametersTest, WhatChangesNothingIsSaid) {
  expect_note(run_with({"--guidance-scale", "0.5"}).first, "guidance scale 0.5 is computed as 1");
  const auto [said, recipe] = run_with({"--guidance-scale", "1", "--negative-prompt", "blur"});
  expect_note(said, "the negative prompt changes nothing");
  EXPECT_TRUE(recipe.at("negative_prompt").is_null());
  const auto [unused, of_one] = run_with({"--boundary-ratio", "0"});
  expect_note(unused, "transformer_2, the expert for low noise, takes none of the 2 steps");
  EXPECT_TRUE(of_one.at("guidance_scale_2").is_null());
  expect_note(run_with({"--prompt", "a (red:1.5) fox"}).first, "'(red:1.5)' is read as it stands");
  EXPECT_EQ(run_with({}).first.find("note: "), std::string::npos);
}

TEST_F(ParametersTest, ALoraInThePromptIsRefused) {
  expect_failure(run(generate("t2v-a14b", {"--prompt", "a fox <lora:snow:0.8>"})), 2,
                 "prompt: '<lora:snow:0.8>' asks for an additional network");
}

TEST_F(ParametersTest, OneFrameHasNoLastImage) {
  expect_failure(run(generate("i2v-a14b", {"-i", picture(), "--last-image-path", picture(),
                                           "--num-frames", "1"})),
                 2, "--num-frames 5 or more");
}

TEST_F(ParametersTest, SavedLatentsAreDecodedToTheSameBytes) {
  for (const char* name : {"v.mp4", "v.y4m"}) {
    expect_success(run(generate(
        "ti2v-5b", {"-o", name, "--save-latents", "l.safetensors", "--fps", "11", "--overwrite"})));
    const std::string again = std::string("again-") + name;
    const ProcessResult result =
        run({"decode", "l.safetensors", "--model-path", tiny_model("ti2v-5b").string(), "-o", again,
             "--progress", "none", "--threads", "2"});
    expect_success(result);
    EXPECT_EQ(result.out, again + "\n");
    EXPECT_TRUE(read_text(work() / again) == read_text(work() / name)) << name;
  }
  // They are no noise, and not of another VAE.
  expect_success(run({"decode", "l.safetensors", "-m", (tiny_model("ti2v-5b") / "vae").string(),
                      "-o", "vae.y4m", "--threads", "2"}));
  const std::string size = "64x64";
  const ProcessResult noise =
      run(generate("ti2v-5b", {"-o", "x.mp4", "--latents", "l.safetensors", "--size", size}));
  EXPECT_EQ(noise.exit_code, 2);
  EXPECT_NE(noise.err.find("holds denoised latents"), std::string::npos) << noise.err;
  const ProcessResult other =
      run({"decode", "l.safetensors", "-m", tiny_model("t2v-a14b").string(), "-o", "x.mp4"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_NE(other.err.find("decodes latents of 16 channels, got shape [48,"), std::string::npos)
      << other.err;
  const ProcessResult itself =
      run({"decode", "l.safetensors", "-m", tiny_model("ti2v-5b").string(), "-o", "l.safetensors",
           "--output-format", "mp4", "--overwrite"});
  EXPECT_EQ(itself.exit_code, 2);
  EXPECT_NE(itself.err.find("writing it would overwrite"), std::string::npos) << itself.err;
}

// A file of others that looks like the end of a run is a line, for it may be meant.
TEST_F(ParametersTest, SmoothNoiseIsSaid) {
  TensorFile smooth{{{"latents", "F32", {16, 2, 4, 4}, ""}}};
  for (int i = 0; i < 512; ++i) {
    const float value = i % 64 < 32 ? 1.0f : -1.0f;
    smooth.entries[0].bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  smooth.write(work() / "smooth.safetensors");
  expect_note(run_with({"--latents", "smooth.safetensors"}).first, "looks like none");
}

}  // namespace
}  // namespace mxvideo::test
