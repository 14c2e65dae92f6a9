// The models that mxvideo-make-checkpoint makes: complete, and good for a video.
#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

class DemoModelTest : public CliTest, public testing::WithParamInterface<const char*> {
 protected:
  ProcessOptions make(Arguments arguments) const {
    ProcessOptions options = command(std::move(arguments));
    options.program = MXVIDEO_MAKE_CHECKPOINT;
    return options;
  }
};

TEST_P(DemoModelTest, MakesAVideo) {
  const std::string variant = GetParam();
  const std::string model = scratch() / "model";
  const ProcessResult made =
      run_process(make({"--variant", variant, "--preset", "demo", "--output", model}));
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.out, model + "\n");
  Arguments extra = {"--model-path", model,   "--quantization", "mxfp8",
                     "-o",           "v.mp4", "--json",         "--overwrite"};
  if (variant == "i2v-a14b") extra.insert(extra.end(), {"--image-path", picture()});
  const ProcessResult result = run(generate(variant, extra));
  expect_success(result);
  EXPECT_EQ(read_text(work() / "v.mp4").substr(4, 4), "ftyp");
  const auto report = nlohmann::json::parse(result.out);
  int quantized = 0, transformers = 0;
  for (const auto& component : report.at("components")) {
    if (!component.contains("layers")) continue;
    ++transformers;
    for (const auto& layer : component.at("layers")) quantized += layer.at("scheme") == "mxfp8";
  }
  EXPECT_EQ(transformers, variant == "ti2v-5b" ? 1 : 2);
  EXPECT_EQ(quantized, transformers * 4 * 10) << "ten linears of each of four blocks";
}

INSTANTIATE_TEST_SUITE_P(Variants, DemoModelTest,
                         testing::Values("t2v-a14b", "i2v-a14b", "ti2v-5b"), [](const auto& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_F(DemoModelTest, DoesNotOverwrite) {
  const ProcessResult result = run_process(make({"--output", scratch().string()}));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("is not empty"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace mxvideo::test
