// The prompt file: the one that the recipe of the demo model writes, and one defect at a time.
#include "evaluation/prompt_set.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::evaluation {
namespace {

using nlohmann::json;

json golden_document() {
  return json::parse(std::ifstream(test::golden_path("evaluation/prompts.json")));
}

PromptSet read_text(const std::string& text) {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "prompts.json";
  std::ofstream(path) << text;
  return read_prompt_set(path);
}

TEST(PromptSet, ReadsTheHeldOutPrompts) {
  const json document = golden_document();
  const PromptSet set = read_prompt_set(test::golden_path("evaluation/prompts.json"));
  ASSERT_EQ(set.prompts.size(), 64u);
  EXPECT_EQ(set.colors.size(), 6u);
  EXPECT_EQ(set.backgrounds.size(), 4u);
  for (size_t i = 0; i < set.prompts.size(); ++i) {
    const json& expected = document["prompts"][i];
    EXPECT_EQ(set.prompts[i].prompt, expected["prompt"]);
    EXPECT_EQ(set.prompts[i].expected.shape, expected["shape"]);
    EXPECT_EQ(set.prompts[i].expected.color, expected["color"]);
    EXPECT_EQ(set.prompts[i].expected.background, expected["background"]);
    EXPECT_EQ(set.prompts[i].expected.direction, expected["direction"]);
    EXPECT_EQ(set.prompts[i].expected.position, expected["position"]);
  }
  for (const NamedColor& color : set.colors) {
    EXPECT_EQ(json(color.value), json(document["colors"][color.name].get<Color>()));
  }
}

struct Defect {
  const char* message;
  std::function<void(json&)> damage;
};

TEST(PromptSet, RefusesEveryDefectByName) {
  const auto first = [](json& document) -> json& { return document["prompts"][0]; };
  const std::vector<Defect> defects = {
      {"expected an object, got an array", [](json& d) { d = json::array(); }},
      {"unknown field 'promts'; known: colors", [](json& d) { d["promts"] = 1; }},
      {"colors: expected an object", [](json& d) { d.erase("colors"); }},
      {"colors: expected an object of 1 to 64", [](json& d) { d["colors"] = json::object(); }},
      {"backgrounds: expected an object", [](json& d) { d["backgrounds"] = 3; }},
      {"red: expected red, green and blue",
       [](json& d) {
         d["colors"]["red"] = {1, 2};
       }},
      {"colors: ",
       [](json& d) {
         d["colors"]["red"] = {1, 2, 256};
       }},
      {"colors: ",
       [](json& d) {
         d["colors"]["red"] = {1, 2, "3"};
       }},
      {"expected names of 1 to 64 bytes",
       [](json& d) {
         d["colors"][""] = {1, 2, 3};
       }},
      {"prompts: expected an array", [](json& d) { d.erase("prompts"); }},
      {"prompts: expected an array", [](json& d) { d["prompts"] = json::array(); }},
      {"prompts[0]: expected an object, got null", [&](json& d) { first(d) = nullptr; }},
      {"prompts[0]: unknown field 'colour'", [&](json& d) { first(d)["colour"] = "red"; }},
      {"prompts[0]: prompt: expected 1 to 4096 bytes", [&](json& d) { first(d)["prompt"] = ""; }},
      {"prompts[0]: prompt: expected 1 to 4096 bytes",
       [&](json& d) { first(d)["prompt"] = std::string(5000, 'a'); }},
      {"prompt", [&](json& d) { first(d).erase("prompt"); }},
      {"shape: expected one of ball, square, triangle, ring, got 'cube'",
       [&](json& d) { first(d)["shape"] = "cube"; }},
      {"color: expected one of", [&](json& d) { first(d)["color"] = "mauve"; }},
      {"background: expected one of", [&](json& d) { first(d)["background"] = "red"; }},
      {"direction: expected one of right, left, up, down",
       [&](json& d) { first(d)["direction"] = "to the right"; }},
      {"position: expected one of at the top, in the middle, at the bottom, got 'on the left'",
       [&](json& d) {
         first(d).update({{"direction", "left"}, {"position", "on the left"}});
       }},
      {"position: expected one of on the left, in the middle, on the right, got 'at the top'",
       [&](json& d) {
         first(d).update({{"direction", "up"}, {"position", "at the top"}});
       }},
      {"nested", [&](json& d) { first(d)["shape"] = json::parse("[[[[[1]]]]]"); }},
  };
  for (const Defect& defect : defects) {
    json document = golden_document();
    defect.damage(document);
    const Error error = test::expect_error([&] { read_text(document.dump()); });
    EXPECT_EQ(error.code(), Code::kCorruptFile) << error.what();
    EXPECT_NE(std::string(error.what()).find(defect.message), std::string::npos)
        << defect.message << " in: " << error.what();
    EXPECT_NE(std::string(error.what()).find("prompts.json"), std::string::npos) << error.what();
  }
}

TEST(PromptSet, RefusesWhatIsNoJsonFile) {
  EXPECT_EQ(test::expect_error([] { read_text("{\"colors\": "); }).code(), Code::kCorruptFile);
  EXPECT_EQ(test::expect_error([] { read_text(""); }).code(), Code::kCorruptFile);
  EXPECT_EQ(test::expect_error([] { read_text(std::string(5 << 20, ' ')); }).code(),
            Code::kCorruptFile);
  EXPECT_EQ(test::expect_error([] { read_prompt_set("/nowhere/prompts.json"); }).code(),
            Code::kNotFound);
}

}  // namespace
}  // namespace mxvideo::evaluation
