// MXVIDEO_ variables: what reads them, what wins over them, what is refused.
#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

using Variables = std::map<std::string, std::string>;

class EnvironmentTest : public CliTest {
 protected:
  ProcessResult run_with(const Variables& variables, Arguments arguments) const {
    ProcessOptions options = command(std::move(arguments));
    for (const auto& [name, value] : variables) options.environment[name] = value;
    return run_process(options);
  }
  static Arguments with_model(const char* verb, const Arguments& extra) {
    Arguments arguments = {verb, "--model-path", tiny_model("t2v-a14b"), "--prompt", "a fox"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return arguments;
  }
};

TEST_F(EnvironmentTest, VariablesOfNoFlagAreRefused) {
  const struct {
    const char* variable;
    const char* message;
  } kCases[] = {
      {"MXVIDEO_FSP", "MXVIDEO_FSP is no flag of any command; did you mean 'MXVIDEO_FPS'?"},
      {"MXVIDEO_QUANTISATION", "did you mean 'MXVIDEO_QUANTIZATION'?"},
      {"MXVIDEO_STEPS",
       "MXVIDEO_STEPS is an alias's name and not read; the variable is "
       "MXVIDEO_NUM_INFERENCE_STEPS"},
      {"MXVIDEO_CKPT_DIR", "the variable is MXVIDEO_MODEL_PATH"},
      {"MXVIDEO_XYZZY", "MXVIDEO_XYZZY is no flag of any command"},
  };
  for (const auto& each : kCases) {
    for (const char* verb : {"generate", "doctor", "quantize"}) {
      expect_failure(run_with({{each.variable, "1"}}, {verb}), 2, each.message);
    }
    EXPECT_EQ(run_with({{each.variable, "1"}}, {"--help"}).exit_code, 0) << "help always helps";
  }
}

// Who exports a variable exports it for every command.
TEST_F(EnvironmentTest, VariablesOfOtherCommandsChangeNothing) {
  const ProcessResult result =
      run_with({{"MXVIDEO_FPS", "none"}, {"MXVIDEO_MIN_SQNR", "none"}, {"MXVIDEO_TOKENS", "none"}},
               {"version"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
}

TEST_F(EnvironmentTest, EveryCommandReadsThem) {
  EXPECT_NO_THROW(nlohmann::json::parse(run_with({{"MXVIDEO_JSON", "1"}}, {"doctor"}).out));
  const std::pair<const char*, Arguments> kCommands[] = {
      {"MXVIDEO_FPS", {"generate"}},
      {"MXVIDEO_FPS", {"plan"}},
      {"MXVIDEO_FPS", {"compare"}},
      {"MXVIDEO_FPS", {"evaluate"}},
      {"MXVIDEO_THREADS", {"quantize"}},
      {"MXVIDEO_THREADS", {"repack"}},
      {"MXVIDEO_THREADS", {"verify", "x"}},
      {"MXVIDEO_REPEATS", {"bench", "gemm"}},
      {"MXVIDEO_TOLERANCE", {"bench", "check", "x"}}};
  for (const auto& [variable, arguments] : kCommands) {
    expect_failure(run_with({{variable, "many"}}, arguments), 2,
                   std::string("the environment's ") + variable);
  }
}

// Each variable would fail the run if it were read.
TEST_F(EnvironmentTest, FlagsWin) {
  const std::pair<Variables, Arguments> kCases[] = {
      {{{"MXVIDEO_WIDTH", "x"}, {"MXVIDEO_HEIGHT", "x"}}, {"--size", "32x32"}},
      {{{"MXVIDEO_SIZE", "x"}}, {"--width", "32", "--height", "32"}},
      {{{"MXVIDEO_NUM_INFERENCE_STEPS", "x"}}, {"--size", "32x32", "--steps", "1"}},
      {{{"MXVIDEO_OUTPUT_FORMAT", "x"}}, {"--size", "32x32", "--output-format", "webp"}},
      {{{"MXVIDEO_PROGRESS", "json"}}, {"--size", "32x32", "--quiet"}},
      {{{"MXVIDEO_QUIET", "1"}}, {"--size", "32x32", "--progress", "plain"}},
  };
  for (const auto& [variables, extra] : kCases) {
    Arguments arguments = with_model("plan", extra);
    arguments.insert(arguments.end(), {"--num-frames", "5"});
    expect_success(run_with(variables, arguments));
  }
  // The end of --output says the format, and standard output is the video's.
  expect_failure(run_with({{"MXVIDEO_OUTPUT_FORMAT", "webp"}},
                          with_model("generate", {"--output", "missing/a.mp4"})),
                 7, "missing/a.mp4: there is no directory missing");
  expect_failure(run_with({{"MXVIDEO_OUTPUT", "missing/a.mp4"}},
                          with_model("generate", {"--output-path", "absent"})),
                 7, "there is no directory absent");
}

TEST_F(EnvironmentTest, AVariableThatMayBeMoreThanTheFlagIsNamed) {
  const Arguments plan =
      with_model("plan", {"--size", "32x32", "--num-frames", "5", "--cfg-scale", "3"});
  const ProcessResult result = run_with({{"MXVIDEO_GUIDANCE_SCALE_2", "4"}}, plan);
  expect_success(result);
  EXPECT_NE(result.err.find("note: MXVIDEO_GUIDANCE_SCALE_2 is not used: --cfg-scale is given\n"),
            std::string::npos)
      << result.err;
}

TEST_F(EnvironmentTest, AnEmptyVariableIsNotSet) {
  EXPECT_EQ(run_with({{"MXVIDEO_JSON", ""}, {"MXVIDEO_TYPO", ""}}, {"version"}).exit_code, 0);
}

TEST_F(EnvironmentTest, ModelsOfTheCachesAreSuggested) {
  std::filesystem::create_directories(scratch() / "hub/models--Org--Tiny-Wan");
  std::filesystem::create_directories(scratch() / "scope/models/Other/Wan2___2-Small");
  const Variables caches = {{"HF_HUB_CACHE", scratch() / "hub"},
                            {"MODELSCOPE_CACHE", scratch() / "scope"}};
  expect_failure(run_with(caches, {"plan", "-m", "Org/Tiny-Wam"}), 3, "mean 'Org/Tiny-Wan'?");
  expect_failure(run_with(caches, {"plan", "-m", "other/Wan2.2-Smal"}), 3,
                 "mean 'Other/Wan2.2-Small'?");
}

TEST_F(EnvironmentTest, EnumerationsInAnyCase) {
  const ProcessResult result =
      run_with({{"MXVIDEO_MX_SCALE_RULE", "Floor"}, {"MXVIDEO_VAE_TILING", "OFF"}},
               with_model("plan", {"--size", "32x32", "--num-frames", "5", "--quantization",
                                   "MXFP8", "--text-encoder-quantization", "None", "--progress",
                                   "NONE", "--sigma-grid", "Wan", "--output-format", "MP4"}));
  expect_success(result);
  EXPECT_NE(result.out.find("mxfp8"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace mxvideo::test
