// mxvideo evaluate from the outside, on a random model: it can follow no prompt, and what it makes
// has no clear shape.
#include <algorithm>
#include <csignal>
#include <sstream>

#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Names = std::vector<std::string>;

class EvaluateTest : public CliTest {
 protected:
  static fs::path prompts() { return fs::path(MXVIDEO_GOLDEN_DIR) / "evaluation/prompts.json"; }

  // Two prompts, one seed, two steps; what `extra` gives wins.
  static Arguments evaluate(const Arguments& extra) {
    const auto given = [&](const std::string& flag) {
      return std::find(extra.begin(), extra.end(), flag) != extra.end();
    };
    Arguments arguments = {"evaluate"};
    for (const auto& [flag, value] : std::vector<std::pair<std::string, std::string>>{
             {"--model-path", tiny_model("ti2v-5b").string()},
             {"--prompts", prompts().string()},
             {"--limit", "2"},
             {"--num-seeds", "1"},
             {"--size", "64x64"},
             {"--num-frames", "5"},
             {"--steps", "2"},
             {"--threads", "2"},
             {"--progress", "none"}}) {
      if (given(flag) || (flag == "--num-seeds" && given("--seeds"))) continue;
      arguments.insert(arguments.end(), {flag, value});
    }
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return arguments;
  }

  // The result without what depends on the clock.
  json result(const Arguments& extra) const {
    Arguments arguments = extra;
    arguments.push_back("--json");
    const ProcessResult run_result = run(evaluate(arguments));
    expect_success(run_result);
    json parsed = json::parse(run_result.out);
    for (json& scheme : parsed["schemes"]) {
      EXPECT_GT(scheme["seconds"], 0);
      scheme.erase("seconds");
    }
    return parsed;
  }
};

TEST_F(EvaluateTest, ScoresARandomModelWithZero) {
  const json first = result({"--schemes", "none,mxfp8:floor", "--output", "out.json"});
  EXPECT_EQ(outputs(), Names{"out.json"});
  EXPECT_EQ(first["model"], tiny_model("ti2v-5b").string());
  EXPECT_EQ(first["settings"]["width"], 64);
  EXPECT_EQ(first["settings"]["num_inference_steps"], 2);
  EXPECT_EQ(first["settings"]["seeds"], json::array({0}));
  ASSERT_EQ(first["schemes"].size(), 2u);
  for (const char* scheme : {"none", "mxfp8:floor"}) {
    const json& scores = first["schemes"][scheme];
    EXPECT_EQ(scores["score"], 0) << scheme;
    EXPECT_EQ(scores["prompts"], 2) << scheme;
    EXPECT_EQ(scores["videos"], 2) << scheme;
    EXPECT_EQ(scores["shape"], 0) << scheme;
    EXPECT_EQ(scores["failures"].size(), 2u) << scheme;
    EXPECT_EQ(scores["failures"][0]["prompt"], read_json(prompts())["prompts"][0]["prompt"]);
    EXPECT_TRUE(scores["failures"][0]["measured"]["shape"].is_null()) << scheme;
  }
  json file = read_json(work() / "out.json");
  for (json& scheme : file["schemes"]) scheme.erase("seconds");
  EXPECT_EQ(file, first);
  EXPECT_FALSE(first["schemes"]["none"].contains("video_psnr_db"));
  const json psnr = first["schemes"]["mxfp8:floor"]["video_psnr_db"];
  EXPECT_GT(psnr["worst"], 20);
  EXPECT_LT(psnr["median"], 60) << "MXFP8 changes the video";
  // The same bits again, alone, with weights that stay, and after another scheme.
  json alone = first["schemes"]["mxfp8:floor"];
  alone.erase("video_psnr_db");
  for (const Arguments& memory : {Arguments{}, Arguments{"--resident-memory", "1GiB"}}) {
    Arguments flags = {"--schemes", "mxfp8:floor"};
    flags.insert(flags.end(), memory.begin(), memory.end());
    EXPECT_EQ(result(flags)["schemes"]["mxfp8:floor"], alone);
  }
}

TEST_F(EvaluateTest, SavesVideosAndPrintsATable) {
  const ProcessResult table = run(evaluate({"--schemes", "none,mxfp8:floor", "--limit", "1",
                                            "--seeds", "3,8", "--save-videos", "videos"}));
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_NE(table.out.find("\nscore (%)  "), std::string::npos) << table.out;
  EXPECT_NE(table.out.find(" mxfp8:floor\n"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("seed 8: "), std::string::npos) << table.out;
  for (const char* name :
       {"none/000-3.webp", "none/000-8.webp", "mxfp8-floor/000-3.webp", "mxfp8-floor/000-8.webp"}) {
    EXPECT_EQ(read_text(work() / "videos" / name).substr(8, 4), "WEBP") << name;
  }
  // Videos of an earlier run are not mixed with new ones.
  const ProcessResult again = run(evaluate({"--save-videos", "videos"}));
  EXPECT_EQ(again.exit_code, 7);
  EXPECT_NE(again.err.find("videos: already there"), std::string::npos) << again.err;
}

TEST_F(EvaluateTest, TheTableFitsAHundredColumns) {
  const std::string longest = "mxfp8:floor+int8-attention";
  const ProcessResult result =
      run(evaluate({"--limit", "1", "--schemes",
                    "none,mxfp8:even+int8-attention,mxfp8:rceil+int8-attention," + longest}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::istringstream lines(result.out);
  int scores = 0;
  for (std::string line; std::getline(lines, line) && line.find(", seed ") == line.npos;) {
    EXPECT_LE(line.size(), 100u) << line;
    scores += line.starts_with("score (%) ");
  }
  EXPECT_EQ(scores, 2);  // three schemes beside each other, and the last below
  EXPECT_NE(result.out.find(longest + "\n"), std::string::npos) << result.out;
}

TEST_F(EvaluateTest, TakesPromptsAndDefaultsOfTheModel) {
  const fs::path model = scratch() / "model";
  fs::copy(tiny_model("ti2v-5b"), model, fs::copy_options::recursive);
  fs::copy(prompts(), model / "evaluation.json");
  const json defaults = {{"width", 96}, {"height", 64}, {"num_frames", 9}};
  write_text(model / "generation_config.json", defaults.dump());
  const ProcessResult run_result =
      run({"evaluate", "--model-path", model.string(), "--schemes", "none", "--limit", "1",
           "--seeds", "4", "--steps", "1", "--num-frames", "5", "--progress", "none", "--json"});
  expect_success(run_result);
  const json settings = json::parse(run_result.out)["settings"];
  EXPECT_EQ(settings["width"], 96);
  EXPECT_EQ(settings["height"], 64);
  EXPECT_EQ(settings["num_frames"], 5) << "a flag wins";
}

struct BadRequest {
  int exit_code;
  const char* message;
  Arguments flags;
};

TEST_F(EvaluateTest, RefusesBeforeItGenerates) {
  const std::string damaged = (scratch() / "damaged.json").string();
  write_text(damaged, R"({"colors": {}, "backgrounds": {}, "prompts": []})");
  for (const BadRequest& bad : std::vector<BadRequest>{
           {2,
            "unknown scheme 'fp3'; expected one of none, mxfp8, mxint8 or modelslim",
            {"--schemes", "none,fp3"}},
           {2, "unknown scale rule 'up'", {"--schemes", "mxfp8:up"}},
           {2, "--seeds", {"--seeds", "1,x"}},
           {2, "--seeds", {"--seeds", "1,1"}},
           {2, "--limit", {"--limit", "0"}},
           {2, "--width 60 is no multiple of", {"--size", "60x64"}},
           {3, "nowhere.json", {"--prompts", "nowhere.json"}},
           {3, "damaged.json: colors: expected an object of 1 to 64", {"--prompts", damaged}},
           {3, "nowhere", {"--model-path", "./nowhere"}},
           {7, "there is no directory missing", {"--output", "missing/out.json"}},
           {7, "there is no directory missing", {"--save-videos", "missing/videos"}},
       }) {
    expect_failure(run(evaluate(bad.flags)), bad.exit_code, bad.message);
  }
  expect_failure(run({"evaluate", "--model-path", tiny_model("ti2v-5b").string()}), 2,
                 "evaluation.json: the model brings no prompts; --prompts names a file");
}

TEST_F(EvaluateTest, InterruptStopsIt) {
  Process process(command(evaluate(
      {"--limit", "64", "--num-seeds", "100", "--progress", "json", "--output", "out.json"})));
  process.wait_for_error_text("{\"phase\":\"evaluate\",\"done\":2,");
  process.send_signal(SIGINT);
  const ProcessResult stopped = process.finish();
  EXPECT_EQ(stopped.exit_code, 128 + SIGINT);
  EXPECT_EQ(stopped.out, "");
  EXPECT_TRUE(stopped.err.ends_with("mxvideo: stopped; nothing was written\n")) << stopped.err;
  EXPECT_EQ(outputs(), Names());
}

}  // namespace
}  // namespace mxvideo::test
