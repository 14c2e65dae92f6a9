// Every prompt of tests/golden/tokenizer/prompts.json: cleaned text and ids as the Diffusers
// pipeline and its Hugging Face tokenizer give them. No prompt is left out.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/test_support.h"
#include "tokenizer/prompt_cleaner.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::tokenizer {
namespace {

const std::filesystem::path kGolden = MXVIDEO_GOLDEN_DIR;

nlohmann::json read_golden() {
  std::ifstream file(kGolden / "tokenizer/prompts.json");
  return nlohmann::json::parse(file);
}

// Compares every prompt with what `tokenizer` gives.
void expect_golden_ids(const nlohmann::json& golden, const Umt5Tokenizer& tokenizer) {
  const auto max_length = golden.at("max_length").get<int64_t>();
  size_t compared = 0;
  size_t compared_raw = 0;
  for (const nlohmann::json& prompt : golden.at("prompts")) {
    const auto raw = prompt.at("raw").get<std::string>();
    const auto clean = prompt.at("clean").get<std::string>();
    SCOPED_TRACE(prompt.at("category").get<std::string>() + ": " +
                 prompt.at("raw").dump(-1, ' ', true).substr(0, 200));
    EXPECT_EQ(clean_prompt(raw), clean);
    EXPECT_EQ(tokenizer.encode(clean, max_length), prompt.at("ids").get<std::vector<int32_t>>());
    ++compared;
    if (!prompt.contains("ids_raw")) continue;
    EXPECT_EQ(tokenizer.encode(raw, max_length), prompt.at("ids_raw").get<std::vector<int32_t>>());
    ++compared_raw;
  }
  EXPECT_EQ(compared, golden.at("count").get<size_t>());
  EXPECT_GE(compared, 700u);
  EXPECT_GE(compared_raw, 100u);
}

TEST(TokenizerGolden, EveryPromptCleansAndTokenizesAsTheReference) {
  const nlohmann::json golden = read_golden();
  expect_golden_ids(golden,
                    Umt5Tokenizer::open(kGolden / golden.at("tokenizer").get<std::string>()));
}

// As transformers 5 saves it.
TEST(TokenizerGolden, TokenizerJsonAloneGivesTheSameIds) {
  const nlohmann::json golden = read_golden();
  const mxvideo::test::TemporaryDirectory folder;
  std::filesystem::copy(kGolden / golden.at("tokenizer").get<std::string>() / "tokenizer.json",
                        folder.path());
  const auto tokenizer = Umt5Tokenizer::open(folder.path());
  EXPECT_EQ(tokenizer.vocabulary_size(), 1210);
  expect_golden_ids(golden, tokenizer);
}

TEST(TokenizerGolden, TheDirectoriesOfAllVariantsOpen) {
  for (const char* variant : {"t2v-a14b", "i2v-a14b", "ti2v-5b"}) {
    const auto tokenizer = Umt5Tokenizer::open(kGolden / "models" / variant / "tokenizer");
    EXPECT_EQ(tokenizer.vocabulary_size(), 1210);
    EXPECT_EQ(tokenizer.end_id(), 1);
  }
}

}  // namespace
}  // namespace mxvideo::tokenizer
