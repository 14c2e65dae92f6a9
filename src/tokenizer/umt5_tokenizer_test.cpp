// Expected ids: T5TokenizerFast of transformers 5.23.0 on the tiny tokenizer of tests/golden.
#include "tokenizer/umt5_tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "support/test_support.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/precompiled_normalizer.h"

namespace mxvideo::tokenizer {
namespace {

using Ids = std::vector<int32_t>;

const std::filesystem::path kDirectory = MXVIDEO_GOLDEN_DIR "/models/t2v-a14b/tokenizer";

const Umt5Tokenizer& tokenizer() {
  static const Umt5Tokenizer kInstance = Umt5Tokenizer::open(kDirectory);
  return kInstance;
}

// A copy of the golden directory without the files in `without`.
void copy_directory(const std::filesystem::path& to, std::initializer_list<const char*> without) {
  std::filesystem::copy(kDirectory, to);
  for (const char* name : without) std::filesystem::remove(to / name);
}

TEST(Umt5Tokenizer, EndsWithEos) {
  EXPECT_EQ(tokenizer().encode(""), (Ids{1}));
  EXPECT_EQ(tokenizer().encode("x y"), (Ids{259, 390, 259, 277, 1}));
}

TEST(Umt5Tokenizer, FindsSpecialTokensInTheText) {
  EXPECT_EQ(tokenizer().encode("a <pad> b"), (Ids{263, 0, 336, 1}));
  EXPECT_EQ(tokenizer().encode("<extra_id_0>x</s>"), (Ids{1209, 259, 390, 1, 1}));
  EXPECT_EQ(tokenizer().encode("a</s>b"), (Ids{263, 1, 336, 1}));
  EXPECT_EQ(tokenizer().encode("<unk>"), (Ids{2, 1}));
  // Only after normalisation: pieces of the vocabulary, not special tokens.
  EXPECT_EQ(tokenizer().encode("\ufe64pad\ufe65"), (Ids{259, 0, 1}));
  EXPECT_EQ(tokenizer().encode("<u\x1cnk>"), (Ids{259, 2, 1}));
  EXPECT_EQ(tokenizer().encode("<extra\x07_id_0>"), (Ids{259, 1209, 1}));
  EXPECT_EQ(tokenizer().encode("<0x41>"), (Ids{259, 68, 1}));
}

TEST(Umt5Tokenizer, JoinsUnknownCharactersOfAWord) {
  EXPECT_EQ(tokenizer().encode("q\U00013000\U00013000"), (Ids{259, 1195, 2, 1}));
}

TEST(Umt5Tokenizer, ReplacesShortGraphemesByTheirShortestMappedPrefix) {
  EXPECT_EQ(tokenizer().encode("\u2460\u0301x"), (Ids{705, 390, 1}));
  EXPECT_EQ(tokenizer().encode("e\u0301\u0323"), (Ids{259, 402, 1}));
  EXPECT_EQ(tokenizer().encode("a\u2581b"), (Ids{263, 336, 1}));
}

TEST(Umt5Tokenizer, TruncatesKeepingEos) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += "x ";
  const Ids ids = tokenizer().encode(text);
  EXPECT_EQ(ids.size(), 512u);
  EXPECT_EQ(ids[510], 259);
  EXPECT_EQ(ids[511], 1);
  EXPECT_EQ(tokenizer().encode("x y", 2), (Ids{259, 1}));
  EXPECT_EQ(tokenizer().encode("x y", 1), (Ids{1}));
}

TEST(Umt5Tokenizer, RefusesInvalidUtf8) {
  const Error error = test::expect_error([] { tokenizer().encode("a\xff"); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
}

TEST(Umt5Tokenizer, FallsBackToTheSpecialTokensMapAndToT5) {
  const test::TemporaryDirectory directory;
  const auto bare = directory.path() / "bare";
  copy_directory(bare, {"tokenizer_config.json", "special_tokens_map.json"});
  EXPECT_EQ(Umt5Tokenizer::open(bare).encode("a <pad> b"), (Ids{263, 0, 336, 1}));

  // The map names <extra_id_0>, which only tokenizer_config.json gives an id.
  const auto map_only = directory.path() / "map";
  copy_directory(map_only, {"tokenizer_config.json"});
  const Error error = test::expect_error([&] { Umt5Tokenizer::open(map_only); });
  EXPECT_EQ(error.code(), Code::kCorruptFile);
  EXPECT_NE(std::string(error.what()).find("special token '<extra_id_0>' has no id"),
            std::string::npos);
  std::ofstream(map_only / "special_tokens_map.json") << R"({"pad_token": {"content": "<pad>"}})";
  EXPECT_EQ(Umt5Tokenizer::open(map_only).encode("a <pad> b"), (Ids{263, 0, 336, 1}));
}

TEST(Umt5Tokenizer, RefusesDamagedDirectories) {
  const test::TemporaryDirectory directory;
  const Error missing = test::expect_error([&] { Umt5Tokenizer::open(directory.path()); });
  EXPECT_EQ(missing.code(), Code::kNotFound);

  const auto copy = directory.path() / "copy";
  copy_directory(copy, {});
  const struct {
    const char* config;
    Code code;
  } cases[] = {
      {R"({"added_tokens_decoder": []})", Code::kCorruptFile},
      {R"({"added_tokens_decoder": {"x": {"content": "y"}}})", Code::kCorruptFile},
      {R"({"added_tokens_decoder": {"-1": {"content": "y"}}})", Code::kCorruptFile},
      {R"({"added_tokens_decoder": {"1": {"content": ""}}})", Code::kCorruptFile},
      {R"({"added_tokens_decoder": {"1": {}}})", Code::kCorruptFile},
      {R"({"added_tokens_decoder": {"1": 5}})", Code::kCorruptFile},
      {R"({"added_tokens_decoder": {"1": {"content": "y", "single_word": true}}})",
       Code::kUnsupported},
      {"{", Code::kCorruptFile},
  };
  for (const auto& c : cases) {
    std::ofstream(copy / "tokenizer_config.json") << c.config;
    const Error error = test::expect_error([&] { Umt5Tokenizer::open(copy); });
    EXPECT_EQ(error.code(), c.code) << c.config << ": " << error.what();
    EXPECT_NE(std::string(error.what()).find("tokenizer_config.json"), std::string::npos);
  }
}

TEST(AddedTokens, PrefersLeftmostThenLongest) {
  const AddedTokens tokens({{.text = "<a>", .id = 1},
                            {.text = "<a><b>", .id = 2},
                            {.text = "b", .id = 3, .normalized = true}});
  const auto parts = tokens.split("x<a><b><a>b", false);
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[0].text, "x");
  EXPECT_EQ(parts[1].token_id, 2);
  EXPECT_EQ(parts[2].token_id, 1);
  EXPECT_EQ(parts[3].text, "b");
  EXPECT_EQ(tokens.split("ab", true).back().token_id, 3);
  EXPECT_TRUE(tokens.split("", false).empty());
}

TEST(PrecompiledNormalizer, RefusesDamagedTables) {
  EXPECT_EQ(PrecompiledNormalizer("", "m").normalize("\u2460"), "\u2460");
  using namespace std::string_literals;
  for (const std::string& table : {"abc"s, "\0\0\0\0"s, "\3\0\0\0abcd"s, "\x08\0\0\0abcd"s}) {
    const Error error = test::expect_error([&] { PrecompiledNormalizer(table, "m"); });
    EXPECT_EQ(error.code(), Code::kCorruptFile);
  }
  // One unit whose offset leads outside.
  const Error error = test::expect_error(
      [] { PrecompiledNormalizer("\4\0\0\0\0\xff\xff\xff"s, "m").normalize("a"); });
  EXPECT_EQ(error.code(), Code::kCorruptFile);
}

}  // namespace
}  // namespace mxvideo::tokenizer
