// From measured contents to scores. Whole evaluations are tested from the outside, in tests/e2e.
#include "evaluation/evaluation.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "evaluation/evaluation_test_support.h"

namespace mxvideo::evaluation {
namespace {

const ClipContent kMeasured = {.shape = "ball",
                               .color = "red",
                               .background = "white",
                               .direction = "right",
                               .row = "top",
                               .column = "middle",
                               .flicker = 2,
                               .background_constancy = 80};
const ExpectedContent kExpected = {.shape = "ball",
                                   .color = "red",
                                   .background = "white",
                                   .direction = "right",
                                   .position = "at the top"};

TEST(Scores, EachPartCountsByItself) {
  EXPECT_TRUE(compare_content(kMeasured, kExpected).all());
  const auto wrong_parts = [](const ClipContent& measured) {
    const PartScores right = compare_content(measured, kExpected);
    std::string wrong;
    if (!right.color) wrong += "colour ";
    if (!right.shape) wrong += "shape ";
    if (!right.position) wrong += "position ";
    if (!right.motion) wrong += "motion ";
    if (!right.background) wrong += "background ";
    EXPECT_EQ(right.all(), wrong.empty());
    return wrong;
  };
  ClipContent content = kMeasured;
  content.color = "orange";
  EXPECT_EQ(wrong_parts(content), "colour ");
  content = kMeasured;
  content.shape = "";
  EXPECT_EQ(wrong_parts(content), "shape ");
  content = kMeasured;
  content.row = "middle";
  EXPECT_EQ(wrong_parts(content), "position ");
  content = kMeasured;
  content.direction = "left";
  EXPECT_EQ(wrong_parts(content), "motion ");
  content = kMeasured;
  content.background = "pink";
  EXPECT_EQ(wrong_parts(content), "background ");
  EXPECT_EQ(wrong_parts({}), "colour shape position motion background ");
}

TEST(Scores, PositionLiesAcrossTheExpectedMotion) {
  ExpectedContent expected = kExpected;
  expected.direction = "up";
  expected.position = "in the middle";
  EXPECT_TRUE(compare_content(kMeasured, expected).position);
  expected.position = "on the left";
  EXPECT_FALSE(compare_content(kMeasured, expected).position);
}

TEST(Scores, AreSharesOfVideosInPercent) {
  PromptSet prompts;
  prompts.prompts = {{.prompt = "first", .expected = kExpected},
                     {.prompt = "second", .expected = kExpected}};
  ClipContent wrong = kMeasured;
  wrong.shape = "";
  wrong.direction = "down";
  wrong.flicker = 4;
  wrong.background_constancy = 100;
  SchemeEvaluation evaluation{.videos = {}, .seconds = 3};
  for (size_t i = 0; i < 4; ++i) {
    const ClipContent& content = i == 3 ? wrong : kMeasured;
    evaluation.videos.push_back({.prompt = i / 2,
                                 .seed = i % 2,
                                 .measured = content,
                                 .right = compare_content(content, kExpected),
                                 .psnr_db = {}});
  }
  nlohmann::json expected = nlohmann::json::parse(R"({
    "score": 75.0, "prompts": 2, "videos": 4, "colour": 100.0, "shape": 75.0, "position": 100.0,
    "motion": 75.0, "background": 100.0, "flicker": 2.5, "background_constancy": 85.0,
    "seconds": 3.0, "failures": [{"prompt": "second", "seed": 1,
      "expected": {"colour": "red", "shape": "ball", "position": "at the top", "motion": "right",
                   "background": "white"},
      "measured": {"colour": "red", "shape": null, "position": "at the top", "motion": "down",
                   "background": "white"}}]})");
  EXPECT_EQ(nlohmann::json(evaluation_json(evaluation, prompts)), expected);
  const double same = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < 4; ++i) {
    evaluation.videos[i].psnr_db = std::array{40.0, same, 30.0, 50.0}[i];
  }
  expected["video_psnr_db"] = {{"median", 40.0}, {"worst", 30.0}};
  EXPECT_EQ(nlohmann::json(evaluation_json(evaluation, prompts)), expected);
  for (EvaluatedVideo& video : evaluation.videos) video.psnr_db = same;
  expected["video_psnr_db"] = {{"median", nullptr}, {"worst", nullptr}};
  EXPECT_EQ(nlohmann::json(evaluation_json(evaluation, prompts)), expected);
}

// Measuring and comparing together: each drawn clip scores fully, and only for its own answer.
TEST(Scores, DrawnClipsScoreFully) {
  const GoldenClips golden = read_golden_clips();
  size_t full = 0, pairs = 0;
  std::vector<std::pair<ClipContent, ExpectedContent>> clips;
  for (const GoldenClip& clip : golden.clips) {
    if (clip.kind != "drawn") continue;
    clips.push_back({measure_clip(clip.video, golden.colors, golden.backgrounds),
                     {.shape = clip.shape,
                      .color = clip.color,
                      .background = clip.background,
                      .direction = clip.direction,
                      .position = clip.position}});
  }
  for (const auto& [measured, own] : clips) {
    EXPECT_TRUE(compare_content(measured, own).all()) << own.color << " " << own.shape;
    for (const auto& [other, expected] : clips) {
      ++pairs;
      full += compare_content(measured, expected).all() ? 1 : 0;
    }
  }
  EXPECT_EQ(pairs, 24u * 24u);
  EXPECT_EQ(full, 24u);
}

}  // namespace
}  // namespace mxvideo::evaluation
