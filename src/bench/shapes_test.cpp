#include "bench/shapes.h"

#include <gtest/gtest.h>

#include "base/text/field.h"
#include "bench/bench_test_support.h"

namespace mxvideo::bench {
namespace {

struct BadText {
  const char* name;
  const char* text;
  const char* message;
};

void PrintTo(const BadText& bad, std::ostream* stream) { *stream << bad.name; }

class BadShapesTest : public testing::TestWithParam<BadText> {};

TEST_P(BadShapesTest, NamesFileAndLine) {
  expect_refusal(Code::kCorruptFile, GetParam().message,
                 [] { parse_layer_shapes({.name = "some/mine.txt", .text = GetParam().text}); });
}

INSTANTIATE_TEST_SUITE_P(
    All, BadShapesTest,
    testing::Values(
        BadText{"no_shapes", "# nothing\n\n", "some/mine.txt: expected lines `layer K N`"},
        BadText{"two_words", "# a\nattn 64\n", "some/mine.txt:2: expected `layer K N`"},
        BadText{"four_words", "attn 64 64 64", "mine.txt:1: expected `layer K N`"},
        BadText{"zero", "attn 0 64", "mine.txt:1: expected `layer K N` with sizes from 1"},
        BadText{"negative", "attn 64 -64", "got 'attn 64 -64'"},
        BadText{"fraction", "attn 64.5 64", "mine.txt:1"},
        BadText{"tail", "attn 64 64x", "mine.txt:1"},
        BadText{"huge", "a 64 64\n\nb 99999999999999999999 64", "mine.txt:3"},
        BadText{"beyond_the_limit", "a 64 16777217", "mine.txt:1"},
        BadText{"no_multiple_of_32", "a 48 64", "mine.txt:1: expected K to be a multiple of 32"}),
    [](const auto& bad) { return std::string(bad.param.name); });

TEST(ShapesTest, ReadsLinesAndComments) {
  const auto shapes = parse_layer_shapes(
      {.name = "dir/mine.txt", .text = "# head\nattn 64 128  # why\n\n  ffn\t32 1\r\n"});
  ASSERT_EQ(shapes.size(), 2u);
  EXPECT_EQ(shapes[0].model, "mine");
  EXPECT_EQ(shapes[0].layer, "attn");
  EXPECT_EQ(shapes[0].k, 64);
  EXPECT_EQ(shapes[0].n, 128);
  EXPECT_EQ(shapes[1].layer, "ffn");
  EXPECT_EQ(shapes[1].k, 32);
  EXPECT_EQ(shapes[1].n, 1);
}

// Patches of 2x2 latents of 8x8 (A14B) or 16x16 (TI2V-5B) pixels and 4 frames, the first alone.
TEST(ShapesTest, BuiltInTokensAreThoseOfTheModels) {
  const auto tokens = [](const std::string& model, const std::string& resolution) -> int64_t {
    for (const TokenCount& count : builtin_token_counts()) {
      if (count.model == model && count.resolution == resolution) return count.tokens;
    }
    return 0;
  };
  EXPECT_EQ(tokens("a14b", "480p"), (1 + 80 / 4) * (480 / 16) * (832 / 16));
  EXPECT_EQ(tokens("a14b", "720p"), (1 + 80 / 4) * (720 / 16) * (1280 / 16));
  EXPECT_EQ(tokens("ti2v_5b", "480p"), (1 + 120 / 4) * (480 / 32) * (832 / 32));
  EXPECT_EQ(tokens("ti2v_5b", "720p"), (1 + 120 / 4) * (704 / 32) * (1280 / 32));
}

TEST(ShapesTest, SelectsLayersAndRows) {
  const auto problems = select_problems(builtin_layer_shapes(), builtin_token_counts(),
                                        {.layers = "*/ffn_in", .rows = {"512", "720p"}});
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_EQ(problems[0].layer, "a14b/ffn_in");
  EXPECT_EQ(problems[0].m, 512);
  EXPECT_EQ(problems[0].k, 5120);
  EXPECT_EQ(problems[0].n, 13824);
  EXPECT_EQ(problems[1].m, 75600);
  EXPECT_EQ(problems[3].layer, "ti2v_5b/ffn_in");
  EXPECT_EQ(problems[3].m, 27280);
}

TEST(ShapesTest, RefusesRowsAndLayersThatAreNot) {
  const auto select = [](const GemmSelection& selection) {
    select_problems(builtin_layer_shapes(), builtin_token_counts(), selection);
  };
  expect_refusal(Code::kInvalidArgument, field("m") + ": expected numbers",
                 [&] { select({.rows = {"0"}}); });
  expect_refusal(Code::kInvalidArgument, "for a14b, one of 480p, 720p; got '1080p'",
                 [&] { select({.rows = {"1080p"}}); });
  expect_refusal(Code::kInvalidArgument, field("layer") + " 'b*' matches none of a14b/attn",
                 [&] { select({.layers = "b*", .rows = {"1"}}); });
}

}  // namespace
}  // namespace mxvideo::bench
