// Forms of tokenizer.json; that the ids are right is for tokenizer_golden_test.cpp.
#include "tokenizer/tokenizer_json.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "support/test_support.h"

namespace mxvideo::tokenizer {
namespace {

using Json = nlohmann::json;

Json metaspace() {
  return Json::parse(
      R"({"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"})");
}

// What the tokenizers library writes for a vocabulary of four pieces.
Json small() {
  Json json = Json::parse(R"({
      "version": "1.0",
      "added_tokens": [{"id": 4, "content": "<extra>", "normalized": false}],
      "normalizer": null,
      "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}]},
      "post_processor": {"type": "TemplateProcessing",
                         "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                    {"SpecialToken": {"id": "</s>", "type_id": 0}}]},
      "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": false,
                "vocab": [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["\u2581a", -1.5]]}})");
  json["pre_tokenizer"]["pretokenizers"].push_back(metaspace());
  return json;
}

TokenizerJson parse(const Json& json) { return parse_tokenizer_json(json.dump(), "t.json"); }

TEST(TokenizerJson, ReadsPiecesScoresAndTokens) {
  const TokenizerJson read = parse(small());
  ASSERT_EQ(read.model.pieces.size(), 4u);
  EXPECT_EQ(read.model.pieces[3].text, "\u2581a");
  EXPECT_EQ(read.model.pieces[3].score, -1.5f);
  EXPECT_TRUE(read.model.pieces[2].unknown);
  EXPECT_EQ(read.model.normalizer_table, "");
  ASSERT_EQ(read.added_tokens.size(), 1u);
  EXPECT_EQ(read.added_tokens[0].text, "<extra>");
  EXPECT_EQ(read.added_tokens[0].id, 4);
}

TEST(TokenizerJson, TakesTheStepsOfNewerConverters) {
  Json json = small();
  json["pre_tokenizer"] = metaspace();
  json["normalizer"] = Json::parse(R"({
      "type": "Sequence",
      "normalizers": [{"type": "Precompiled", "precompiled_charsmap": "YWJjZA=="},
                      {"type": "Strip", "strip_left": false, "strip_right": true},
                      {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]})");
  EXPECT_EQ(parse(json).model.normalizer_table, "abcd");
}

struct Refused {
  const char* name;
  std::function<void(Json&)> edit;
  Code code;
  const char* fragment;
};

TEST(TokenizerJson, RefusesWhatWouldGiveOtherIds) {
  const auto set = [](const char* path, const Json& value) {
    return [=](Json& json) { json[Json::json_pointer(path)] = value; };
  };
  const Refused cases[] = {
      {"bpe", set("/model/type", "BPE"), Code::kUnsupported, "t.json: model: type BPE"},
      {"bytes", set("/model/byte_fallback", true), Code::kUnsupported, "byte_fallback"},
      {"no_pieces", set("/model/vocab", Json::array()), Code::kCorruptFile, "vocab: expected"},
      {"piece", set("/model/vocab/0", "x"), Code::kCorruptFile, "expected pairs"},
      {"twice", set("/model/vocab/0/0", "</s>"), Code::kCorruptFile, "the same text"},
      {"unknown", set("/model/unk_id", 4), Code::kCorruptFile, "unk_id"},
      {"no_unknown", set("/model/unk_id", nullptr), Code::kCorruptFile, "unk_id"},
      {"nfkc", set("/normalizer", Json::parse(R"({"type": "NFKC"})")), Code::kUnsupported,
       "step NFKC"},
      {"table",
       set("/normalizer",
           Json::parse(R"({"type": "Precompiled", "precompiled_charsmap": "a?=="})")),
       Code::kCorruptFile, "not base64"},
      {"first", set("/pre_tokenizer/pretokenizers/1/prepend_scheme", "first"), Code::kUnsupported,
       "step {"},
      {"mark", set("/pre_tokenizer/pretokenizers/1/replacement", "_"), Code::kUnsupported,
       "Metaspace"},
      {"no_words", set("/pre_tokenizer", nullptr), Code::kUnsupported, "no step Metaspace"},
      {"no_end", set("/post_processor", nullptr), Code::kUnsupported, "does not put </s>"},
      {"token", set("/added_tokens/0/id", -1), Code::kCorruptFile, "id"},
      {"single_word", set("/added_tokens/0/single_word", true), Code::kUnsupported, "single_word"},
  };
  for (const Refused& refused : cases) {
    SCOPED_TRACE(refused.name);
    Json json = small();
    refused.edit(json);
    const Error error = test::expect_error([&] { parse(json); });
    EXPECT_EQ(code_name(error.code()), code_name(refused.code)) << error.what();
    EXPECT_NE(std::string(error.what()).find(refused.fragment), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace mxvideo::tokenizer
