// The trained model that ships with the source: every quantized form of it gives the same video,
// and a missing or damaged file of it is an error.
#include <gtest/gtest.h>

#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

class ShippedModelTest : public CliTest {
 protected:
  static fs::path model() { return MXVIDEO_SHIPPED_MODELS "/wan-tiny-ti2v"; }

  // Bytes of the video that a short run writes.
  std::string video(const fs::path& directory, const Arguments& extra) const {
    Arguments arguments = {"generate",
                           "--model-path",
                           directory,
                           "--prompt",
                           "a red ball moves to the right on a white background",
                           "--num-inference-steps",
                           "4",
                           "--seed",
                           "3",
                           "--progress",
                           "none",
                           "-o",
                           "video.y4m"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    expect_success(run(arguments));
    std::string bytes = read_text(work() / "video.y4m");
    fs::remove(work() / "video.y4m");
    EXPECT_GT(bytes.size(), size_t{17} * 128 * 128 * 3);
    return bytes;
  }

  void convert(const Arguments& arguments) const {
    const ProcessResult result = run(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
};

TEST_F(ShippedModelTest, EveryQuantizedFormGivesTheVideoOfOnlineQuantization) {
  const std::string online = video(model(), {"--quantization", "mxfp8"});
  EXPECT_NE(video(model(), {}), online) << "nothing was quantized";

  const fs::path diffusers = scratch() / "diffusers", modelslim = scratch() / "modelslim",
                 comfy = scratch() / "comfy", back = scratch() / "back";
  convert({"quantize", "--model-path", model(), "--output", diffusers, "--copy"});
  convert({"quantize", "--model-path", model(), "--output", modelslim, "--layout", "modelslim"});
  convert({"repack", "--quant-path", diffusers, "--output-path", comfy, "--layout", "comfy"});
  convert({"repack", "--original-model-path", model(), "--quant-path", modelslim, "--output-path",
           back, "--copy"});

  EXPECT_EQ(video(diffusers, {}), online);
  EXPECT_EQ(video(back, {}), online);
  EXPECT_EQ(video(model(), {"--transformer-weights-path", modelslim}), online);
  EXPECT_EQ(video(model(), {"--transformer-weights-path", comfy / "wan2.2_ti2v_mxfp8.safetensors"}),
            online);
}

TEST_F(ShippedModelTest, QuantizingAgainIsRefused) {
  const fs::path once = scratch() / "once";
  convert({"quantize", "--model-path", model(), "--output", once, "--copy"});
  const ProcessResult again =
      run({"quantize", "--model-path", once, "--output", scratch() / "twice"});
  EXPECT_NE(again.exit_code, 0);
  EXPECT_NE(again.err.find("quantized"), std::string::npos) << again.err;
  EXPECT_FALSE(fs::exists(scratch() / "twice"));
}

const char* const kFiles[] = {"model_index.json",
                              "scheduler/scheduler_config.json",
                              "text_encoder/config.json",
                              "text_encoder/model.safetensors",
                              "tokenizer/spiece.model",
                              "transformer/config.json",
                              "transformer/diffusion_pytorch_model.safetensors",
                              "vae/config.json",
                              "vae/diffusion_pytorch_model.safetensors"};

class ShippedModelFiles : public ShippedModelTest, public testing::WithParamInterface<const char*> {
 protected:
  // A copy of the model to damage, and what generate says of it.
  fs::path copy() const {
    fs::copy(model(), scratch() / "copy", fs::copy_options::recursive);
    return scratch() / "copy";
  }
  void expect_refusal(const fs::path& directory) const {
    const ProcessResult result = run({"generate", "--model-path", directory, "--prompt", "a ball",
                                      "--num-inference-steps", "1", "--progress", "none"});
    EXPECT_NE(result.exit_code, 0);
    const std::string name = fs::path(GetParam()).parent_path().empty()
                                 ? GetParam()
                                 : fs::path(GetParam()).parent_path().string();
    EXPECT_NE(result.err.find(name), std::string::npos) << result.err;
    EXPECT_EQ(outputs(), std::vector<std::string>());
  }
};

TEST_P(ShippedModelFiles, MissingIsAnErrorThatNamesThePart) {
  const fs::path directory = copy();
  ASSERT_TRUE(fs::remove(directory / GetParam()));
  expect_refusal(directory);
}

TEST_P(ShippedModelFiles, TruncatedIsAnErrorThatNamesThePart) {
  const fs::path directory = copy();
  truncate_file(directory / GetParam());
  expect_refusal(directory);
}

INSTANTIATE_TEST_SUITE_P(Files, ShippedModelFiles, testing::ValuesIn(kFiles), [](const auto& each) {
  std::string name = each.param;
  for (char& c : name) c = std::isalnum(c) != 0 ? c : '_';
  return name;
});

}  // namespace
}  // namespace mxvideo::test
