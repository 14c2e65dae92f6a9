// mxvideo compare on the tiny models: the page, the numbers, what is refused.
#include <cmath>
#include <csignal>

#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CompareTest : public CliTest {
 protected:
  // A comparison of two steps with the report r.html.
  Arguments compare(const Arguments& extra) const {
    Arguments arguments = generate("ti2v-5b", extra);
    arguments.front() = "compare";
    if (std::ranges::find(extra, "--output") == extra.end()) {
      arguments.insert(arguments.end(), {"--output", "r.html", "--overwrite"});
    }
    return arguments;
  }

  // Returns how many pictures the page holds, and how many of them move.
  std::string check_page(const Arguments& texts) const {
    Arguments arguments = {std::string(MXVIDEO_E2E_DIR) + "/check_report.py",
                           (work() / "r.html").string()};
    arguments.insert(arguments.end(), texts.begin(), texts.end());
    const ProcessResult result =
        run_process({.program = "/usr/bin/python3", .arguments = arguments, .directory = work()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }
};

TEST_F(CompareTest, WritesPageAndNumbers) {
  const std::string prompt = "<script>alert('a & \"b\"')</script> x]]>y";
  const ProcessResult result =
      run(compare({"--prompt", prompt, "--schemes", "none,mxfp8,mxfp8:floor"}));
  expect_success(result);
  EXPECT_EQ(result.out, "r.html\n");
  for (const char* text : {"PSNR", "the reference", "\nmxfp8:floor ", "\ntotal time "}) {
    EXPECT_NE(result.err.find(text), std::string::npos) << result.err;
  }
  EXPECT_EQ(outputs(), (std::vector<std::string>{"r.html", "r.json"}));
  // Three clips; five frames in three rows and two rows of differences; ten plots.
  EXPECT_EQ(check_page({prompt, "none", "mxfp8", "mxfp8:floor", "blocks.1.attn2.to_out.0"}),
            "38 3\n");

  const json report = read_json(work() / "r.json");
  EXPECT_EQ(report["reference"], "none");
  EXPECT_EQ(report["recipe"]["prompt"], prompt);
  EXPECT_EQ(report["recipe"]["seed"], 7);
  ASSERT_EQ(report["schemes"].size(), 3u);
  for (const auto& [name, scheme] : report["schemes"].items()) {
    EXPECT_GT(scheme["seconds"], scheme["seconds_per_step"].get<double>()) << name;
    EXPECT_GT(scheme["seconds_per_step"], 0);
    EXPECT_GT(scheme["peak_rss_bytes"], scheme["transformer_weight_bytes"].get<int64_t>());
    EXPECT_EQ(scheme["run"]["steps"].size(), 2u);
    if (name == "none") {
      EXPECT_TRUE(scheme["layers"].empty());
      EXPECT_FALSE(scheme.contains("video"));
      continue;
    }
    EXPECT_LT(scheme["transformer_weight_bytes"],
              report["schemes"]["none"]["transformer_weight_bytes"].get<int64_t>());
    ASSERT_EQ(scheme["latents"].size(), 2u);
    ASSERT_EQ(scheme["video"]["frames"].size(), 5u);
    EXPECT_GT(scheme["video"]["psnr_db"], 10);
    EXPECT_LT(scheme["video"]["mean_ssim"], 1);
    ASSERT_EQ(scheme["layers"].size(), 20u);
    for (const json& layer : scheme["layers"]) {
      for (const char* kind : {"weights", "outputs"}) {
        EXPECT_GT(layer[kind]["sqnr_db"], 20) << layer;
        EXPECT_LT(layer[kind]["sqnr_db"], 40) << layer;
        EXPECT_GT(layer[kind]["cosine"], 0.99) << layer;
        EXPECT_LT(layer[kind]["cosine"], 1) << layer;
      }
    }
    // One forward of 8 tokens (2x2 latents of 2 frames) per scale and step.
    EXPECT_EQ(scheme["layers"][0]["outputs"]["values"], 2 * 2 * 8 * 96) << scheme["layers"][0];
  }
}

TEST_F(CompareTest, WeightsAreThoseOfQuantize) {
  expect_success(run(compare({"--schemes", "none,mxfp8:floor"})));
  const json compared = read_json(work() / "r.json")["schemes"]["mxfp8:floor"]["layers"];
  expect_success(run({"quantize", "--model-path", tiny_model("ti2v-5b").string(), "--output",
                      (scratch() / "quantized").string(), "--report", "q.json", "--mx-scale-rule",
                      "floor", "--progress", "none"}));
  const json quantized = read_json(work() / "q.json")["components"][0]["layers"];
  ASSERT_EQ(quantized.size(), compared.size());
  for (const json& layer : quantized) {
    const auto same = std::ranges::find_if(
        compared, [&](const json& own) { return own["layer"] == layer["layer"]; });
    ASSERT_NE(same, compared.end()) << layer;
    for (const char* key : {"sqnr_db", "amax", "saturated", "flushed"}) {
      EXPECT_EQ((*same)["weights"][key], layer[key]) << layer["layer"] << " " << key;
    }
  }
}

// The video and its report are those of generate.
TEST_F(CompareTest, RunsWhatGenerateRuns) {
  expect_success(run(compare({"--json-output", "numbers.json"})));
  EXPECT_EQ(outputs(), (std::vector<std::string>{"numbers.json", "r.html"}));
  expect_success(run(
      generate("ti2v-5b", {"--quantization", "mxfp8", "--output", "v.mp4", "--report", "g.json"})));
  const json expected = read_json(work() / "g.json");
  const json actual = read_json(work() / "numbers.json")["schemes"]["mxfp8"]["run"];
  EXPECT_EQ(actual["kernels"], expected["kernels"]);
  EXPECT_EQ(actual["components"], expected["components"]);
}

TEST_F(CompareTest, EqualRunsAreInfinitelyClose) {
  const ProcessResult result = run(compare({"--quantization-ignored-layers", "*", "--json"}));
  expect_success(result);
  const json report = json::parse(result.out);
  EXPECT_EQ(report, read_json(work() / "r.json"));
  const json& scheme = report["schemes"]["mxfp8"];
  EXPECT_TRUE(scheme["layers"].empty());
  EXPECT_TRUE(scheme["video"]["psnr_db"].is_null());
  EXPECT_TRUE(scheme["video"]["frames"][0]["psnr_db"].is_null());
  EXPECT_EQ(scheme["video"]["mean_ssim"], 1);
  EXPECT_TRUE(scheme["latents"][1]["sqnr_db"].is_null());
  EXPECT_EQ(scheme["latents"][1]["cosine"], 1);
  EXPECT_EQ(scheme["latents"][1]["relative_rms"], 0);
  check_page({"∞", "No layer is quantized"});
}

TEST_F(CompareTest, TakesAnImage) {
  expect_success(run(compare({"--image-path", picture().string()})));
  check_page({"none", "mxfp8"});
}

TEST_F(CompareTest, PromptComesFromTheModel) {
  const fs::path model = scratch() / "model";
  fs::copy(tiny_model("ti2v-5b"), model, fs::copy_options::recursive);
  const Arguments arguments = {"compare",    "--model-path", model.string(),
                               "--size",     "64x64",        "--num-frames",
                               "5",          "--steps",      "1",
                               "--progress", "none",         "--output",
                               "r.html"};
  expect_failure(run(arguments), 2, "--prompt is required: there is no ");
  write_text(model / "evaluation.json", R"({"prompts": [{"shape": "ball"}]})");
  expect_failure(run(arguments), 3, "expected prompts[0].prompt, a string");
  write_text(model / "evaluation.json", R"({"prompts": [{"prompt": "a ball"}, {"prompt": "b"}]})");
  expect_success(run(arguments));
  EXPECT_EQ(read_json(work() / "r.json")["recipe"]["prompt"], "a ball");
}

TEST_F(CompareTest, RefusesBeforeAnyRun) {
  const auto refuse = [&](const Arguments& extra, int code, const char* what) {
    const ProcessResult result = run(compare(extra));
    expect_failure(result, code, what);
  };
  refuse({"--schemes", "none"}, 2, "a reference and at least one more scheme");
  refuse({"--schemes", "none,fp4"}, 2, "fp4");
  refuse({"--schemes", "none,none"}, 2, "listed twice");
  refuse({"--output", "-"}, 2, "expected a name ending in .html, got '-'");
  refuse({"--output", "missing/r.html"}, 7, "there is no directory missing");
  refuse({"--output", "r.json"}, 2, "expected a name ending in .html, got 'r.json'");
  refuse({"--report", "r.html"}, 2, "expected a name ending in .json, got 'r.html'");
  refuse({"--json-output", "missing/r.json"}, 7, "there is no directory missing");
  refuse({"--quantization-ignored-layers", "nothing.*"}, 2, "matches no linear layer");
  refuse({"--num-frames", "6"}, 2, "--num-frames");
}

TEST_F(CompareTest, RefusesAQuantizedModel) {
  const fs::path quantized = scratch() / "quantized";
  expect_success(run({"quantize", "--model-path", tiny_model("ti2v-5b").string(), "--output",
                      quantized.string(), "--progress", "none"}));
  expect_failure(run(compare({"--model-path", quantized.string()})), 2,
                 "the weights are quantized already, as ");
}

TEST_F(CompareTest, SaysThatGnuplotIsMissing) {
  ProcessOptions options = command(compare({}));
  options.environment["PATH"] = "/nowhere";
  expect_failure(run_process(options), 3, "install gnuplot-nox");
}

TEST_F(CompareTest, InterruptLeavesNothing) {
  Process process(command(compare({"--num-inference-steps", "1000", "--progress", "json"})));
  process.wait_for_error_text("{\"phase\":\"none: denoise\",\"done\":2,");
  process.send_signal(SIGINT);
  const ProcessResult result = process.finish();
  EXPECT_EQ(result.exit_code, 128 + SIGINT);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(outputs(), std::vector<std::string>());
}

}  // namespace
}  // namespace mxvideo::test
