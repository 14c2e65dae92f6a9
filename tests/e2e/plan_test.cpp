// mxvideo plan: its numbers are those that a run reports.
#include <algorithm>
#include <cmath>

#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

class PlanTest : public CliTest {
 protected:
  fs::path demo_model(const std::string& variant) const {
    fs::path path = scratch() / "demo";
    const ProcessResult made =
        run_process({.program = MXVIDEO_MAKE_CHECKPOINT,
                     .arguments = {"--variant", variant, "--output", path.string()}});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return path;
  }

  // Plans and runs the same flags.
  void expect_run_as_planned(const Arguments& request) const {
    Arguments arguments = request;
    arguments.insert(arguments.begin(), "plan");
    arguments.push_back("--json");
    const ProcessResult planned = run(arguments);
    expect_success(planned);
    const auto plan = nlohmann::json::parse(planned.out);
    EXPECT_EQ(plan.at("fits"), true);
    arguments = request;
    arguments.insert(arguments.begin(), "generate");
    arguments.insert(arguments.end(), {"--json", "--output", "x.y4m", "--progress", "none"});
    const ProcessResult ran = run(arguments);
    expect_success(ran);
    compare(plan, nlohmann::json::parse(ran.out));
    EXPECT_EQ(fs::file_size(work() / "x.y4m") / 1000,
              plan.at("disk").at("video_bytes").get<uint64_t>() / 1000);
  }

  // Whether the plan has `row` among the kernels of `op`.
  static bool is_planned(const nlohmann::json& plan, const std::string& op,
                         const std::string& row) {
    return std::ranges::any_of(plan.at("kernels"), [&](const auto& layers) {
      const auto& planned = layers.at("kernels");
      if (!planned.contains(op)) return false;
      const auto names = planned.at(op).template get<std::vector<std::string>>();
      return std::ranges::count(names, row) == 1;
    });
  }

  static void compare(const nlohmann::json& plan, const nlohmann::json& report) {
    const auto& stages = report.at("stages");
    ASSERT_EQ(plan.at("stages").size(), stages.size()) << plan.at("stages");
    const bool measured = require_plain_memory("the peak of each stage, as planned");
    for (size_t i = 0; i < stages.size(); ++i) {
      const auto& planned = plan.at("stages")[i];
      EXPECT_EQ(planned.at("name"), stages[i].at("name"));
      const double ratio =
          planned.at("peak_rss_bytes").get<double>() / stages[i].at("peak_rss_bytes").get<double>();
      std::cout << stages[i].at("name") << " planned / measured " << ratio << "\n";
      if (measured) {
        EXPECT_NEAR(ratio, 1, 0.1) << planned;
      }
    }
    const auto& components = report.at("components");
    ASSERT_EQ(plan.at("components").size(), components.size());
    for (size_t i = 0; i < components.size(); ++i) {
      for (const char* field : {"name", "weight_bytes", "checkpoint_bytes"}) {
        EXPECT_EQ(plan.at("components")[i].at(field), components[i].at(field)) << field;
      }
    }
    // Every kernel that ran was planned.
    for (const auto& [op, rows] : report.at("kernels").items()) {
      for (const auto& [row, calls] : rows.items()) {
        EXPECT_TRUE(is_planned(plan, op, row)) << op << " " << row;
      }
    }
  }
};

TEST_F(PlanTest, TwoExpertsWithMxfp8AndInt8Attention) {
  expect_run_as_planned({"-m", demo_model("t2v-a14b").string(), "--prompt", "a red fox", "--size",
                         "256x160", "--num-frames", "17", "--steps", "2", "--threads", "2",
                         "--quantization", "mxfp8", "--attention", "int8", "--output-format",
                         "y4m"});
}

TEST_F(PlanTest, OneTransformerWithTiles) {
  expect_run_as_planned({"-m", demo_model("ti2v-5b").string(), "--prompt", "a red fox", "--size",
                         "480x480", "--num-frames", "17", "--steps", "2", "--threads", "2",
                         "--vae-tiling", "on", "--output-format", "y4m"});
}

TEST_F(PlanTest, AnImageIsPartOfThePlan) {
  expect_run_as_planned({"-m", demo_model("i2v-a14b").string(), "--prompt", "a red fox", "--size",
                         "320x320", "--num-frames", "9", "--steps", "2", "--threads", "2",
                         "--image-path", picture().string(), "--output-format", "y4m"});
}

TEST_F(PlanTest, WhatDoesNotFitIsAnErrorWithACure) {
  const Arguments huge = {"-m",           tiny_model("t2v-a14b").string(),
                          "--size",       "8192x8192",
                          "--num-frames", "4001",
                          "--vae-tiling", "off"};
  Arguments arguments = huge;
  arguments.insert(arguments.begin(), "plan");
  arguments.push_back("--json");
  const ProcessResult result = run(arguments);
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_TRUE(result.err.starts_with("mxvideo: out_of_memory: ")) << result.err;
  const auto plan = nlohmann::json::parse(result.out);
  EXPECT_EQ(plan.at("fits"), false);
  EXPECT_GT(plan.at("peak_rss_bytes"), plan.at("available_bytes"));
}

TEST_F(PlanTest, DryRunIsThePlan) {
  const ProcessResult dry = run(generate("t2v-a14b", {"--dry-run", "--json"}));
  expect_success(dry);
  EXPECT_EQ(outputs(), std::vector<std::string>());
  const ProcessResult plan =
      run({"plan", "-m", tiny_model("t2v-a14b").string(), "--prompt", "a red fox in fresh snow",
           "--size", "32x32", "--num-frames", "5", "--steps", "2", "--threads", "2", "--json"});
  expect_success(plan);
  const auto a = nlohmann::json::parse(dry.out), b = nlohmann::json::parse(plan.out);
  EXPECT_EQ(a.at("components"), b.at("components"));
  EXPECT_EQ(a.at("kernels"), b.at("kernels"));
  EXPECT_EQ(a.at("prompt_tokens"), b.at("prompt_tokens"));
}

TEST_F(PlanTest, NeedsNoPromptAndNoImage) {
  const ProcessResult result = run({"plan", "-m", tiny_model("i2v-a14b").string(), "--size",
                                    "32x32", "--num-frames", "5", "--threads", "2"});
  expect_success(result);
  for (const char* word : {"load_text_encoder", "encode_image", "denoise", "decode", "fits",
                           "self attention", "disk: video about"}) {
    EXPECT_NE(result.out.find(word), std::string::npos) << word << result.out;
  }
}

TEST_F(PlanTest, TellsHowLongFromRatesThatAreMeasuredOnce) {
  const Arguments request = {
      "-m", tiny_model("ti2v-5b").string(), "--size", "64x64", "--num-frames", "5", "--steps", "3"};
  Arguments arguments = request;
  arguments.insert(arguments.begin(), "plan");
  const ProcessResult text = run(arguments);
  expect_success(text);
  const std::string file = (scratch() / ".cache" / "mxvideo" / "rates.json").string();
  for (const std::string& part :
       {std::string("\ntime\n"), std::string("  denoise "), std::string("  whole "),
        std::string("about "), std::string("+- "), std::string("measured now in "),
        ", kept in " + file}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << part << text.out;
  }
  EXPECT_EQ(read_json(file).at("machines").size(), 1U);
  arguments.push_back("--json");
  const ProcessResult again = run(arguments);
  expect_success(again);
  const auto plan = nlohmann::json::parse(again.out);
  const auto& time = plan.at("time");
  EXPECT_TRUE(time.at("rates").get<std::string>().starts_with("those of ")) << time;
  double sum = 0;
  std::vector<std::string> names;
  for (const auto& phase : time.at("phases")) {
    names.push_back(phase.at("name"));
    sum += phase.at("seconds").get<double>();
    EXPECT_GT(phase.at("seconds"), 0) << phase;
    EXPECT_GT(phase.at("error_seconds"), 0) << phase;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"load_text_encoder", "encode_prompt",
                                             "load_transformer", "denoise", "load_vae", "decode"}));
  EXPECT_NEAR(time.at("seconds").get<double>(), sum, 1e-9 * sum);
}

TEST_F(PlanTest, ARunSaysItsTimeBeforeItStarts) {
  const Arguments short_run = generate("ti2v-5b", {});
  const ProcessResult unknown = run(short_run);
  expect_success(unknown);
  EXPECT_NE(unknown.err.find("how long it takes is not known here yet: mxvideo plan measures"),
            std::string::npos)
      << unknown.err;
  EXPECT_FALSE(fs::exists(scratch() / ".cache"));
  Arguments plan = short_run;
  plan.insert(plan.begin() + 1, "--dry-run");
  expect_success(run(plan));
  const ProcessResult known = run(generate("ti2v-5b", {"--overwrite", "--progress", "plain"}));
  expect_success(known);
  EXPECT_NE(known.err.find("\nabout "), std::string::npos) << known.err;
  EXPECT_LT(known.err.find("\nabout "), known.err.find("\ndenoise 0/")) << known.err;
  const ProcessResult quiet = run(generate("ti2v-5b", {"--overwrite", "--quiet"}));
  expect_success(quiet);
  EXPECT_EQ(quiet.err, "");
}

TEST_F(PlanTest, DamagedRatesAreMeasuredAgainWithALine) {
  fs::create_directories(scratch() / ".cache" / "mxvideo");
  const fs::path file = scratch() / ".cache" / "mxvideo" / "rates.json";
  write_text(file, "{\"format\": 1, \"machines\": [");
  const ProcessResult result =
      run({"plan", "-m", tiny_model("t2v-a14b").string(), "--size", "32x32", "--num-frames", "5"});
  expect_success(result);
  EXPECT_NE(result.out.find("note: kept rates are not used: " + file.string()), std::string::npos)
      << result.out;
  EXPECT_EQ(read_json(file).at("machines").size(), 1U);
}

TEST_F(PlanTest, BadRequestsAreUsageErrors) {
  expect_failure(run({"plan", "-m", tiny_model("t2v-a14b").string(), "--num-frames", "6"}), 2,
                 "--num-frames");
  expect_failure(run({"plan"}), 2, "--model-path is required");
}

}  // namespace
}  // namespace mxvideo::test
