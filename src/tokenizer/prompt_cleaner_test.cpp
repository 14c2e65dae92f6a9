#include "tokenizer/prompt_cleaner.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>

#include "support/test_support.h"
#include "tokenizer/unicode_text.h"

namespace mxvideo::tokenizer {
namespace {

struct Case {
  const char* prompt;
  const char* clean;
};

void expect_all(std::initializer_list<Case> cases) {
  for (const Case& c : cases) EXPECT_EQ(clean_prompt(c.prompt), c.clean) << c.prompt;
}

TEST(PromptCleaner, CollapsesAndStripsUnicodeWhiteSpace) {
  expect_all({{"", ""},
              {" \t\n ", ""},
              {"  a \t\r\n b\u00a0\u2003c\u3000", "a b c"},
              {"a\u2028b\u0085c", "a b\u2026c"},  // U+0085 alone is a lost ellipsis
              {"a\u200bb", "a\u200bb"}});         // zero width is not white space
}

TEST(PromptCleaner, UncurlsQuotesAndTakesLigaturesApart) {
  expect_all({{"\u201cHi\u201d, it\u2019s \u02bcn", "\"Hi\", it's 'n"},
              {"\ufb03 \ufb06 \u01c4 \u0132", "ffi st D\u017d IJ"},
              {"\u0149", "'n"},
              {"\u00ab\u00bb \u2026 \u2014", "\u00ab\u00bb \u2026 \u2014"}});
}

TEST(PromptCleaner, StandardisesWidthAndComposes) {
  expect_all({{"\uff21\uff42\uff11\uff01", "Ab1!"},
              {"\uff76\uff9e", "\u30ac"},  // half-width KA and voiced mark become GA
              {"e\u0301", "\u00e9"},
              {"\u1100\u1161\u11a8", "\uac01"},
              {"\u00bd \u2460", "\u00bd \u2460"}});  // NFC, not NFKC
}

TEST(PromptCleaner, RemovesTerminalEscapesAndControlCharacters) {
  expect_all({{"\033[31;1mred\033[0m", "red"},
              {"a\x01\x08\x0b\x7f"
               "b\ufeff\u206ac\ufffc",
               "abc"},
              {"\u200dx\u200e", "\u200dx\u200e"}});
}

TEST(PromptCleaner, DecodesEntitiesUnlessThereIsMarkup) {
  expect_all({{"caf&eacute; &amp; bar", "caf\u00e9 & bar"},
              {"&amp;amp;amp;", "&"},
              {"P&EACUTE;REZ", "P\u00c9REZ"},
              {"BUNDESSTRA&SZLIG;E", "BUNDESSTRASSE"},
              {"&notit; &ampx &lt &#65 &#x41;", "\u00acit; &x < A A"},
              {"&#0;|&#xd800;|&#x110000;|&#99999999999999999999;", "\ufffd|\ufffd|\ufffd|\ufffd"},
              {"&#x80; &#150;", "\u20ac \u2013"},
              {"a&#1;b&#xfdd0;c", "abc"},
              {"&unknown; &; & &# &#x;", "&unknown; &; & &# &#x;"},
              {"&acE;", "\u223e\u0333"},
              // Markup switches the first stage off; html.unescape still works twice.
              {"<b> &amp;amp;amp; &EACUTE;", "<b> &amp; &EACUTE;"},
              {"&amp;amp;amp;\n<b>", "& <b>"},
              {"<b>\n&amp;amp;amp;", "<b> &amp;"}});
}

TEST(PromptCleaner, RepairsMojibake) {
  expect_all({{"caf\u00c3\u00a9", "caf\u00e9"},
              {"\u00c3\u0192\u00c2\u00a9t\u00c3\u0192\u00c2\u00a9", "\u00e9t\u00e9"},  // twice
              {"it\u00e2\u20ac\u2122s", "it's"},
              {"\u00e2\u0153\u201d No problems", "\u2714 No problems"},
              {"voil\u00c3 le travail", "voil\u00e0 le travail"},
              {"\u00e2\u20ac\u0153 like this \u00e2\u20ac\ufffd", "\" like this \ufffd"},
              {"\u00d0\u0178\u00d1\u20ac\u00d0\u00b8", "\u041f\u0440\u0438"},
              {"\u251c\u00f1", "\u00e4"},      // code page 437
              {"l\u221a\u2260", "l\u00ed"}});  // Mac Roman
}

TEST(PromptCleaner, LeavesGoodTextAlone) {
  expect_all({{"\u00c5 \u00e0 la carte, gar\u00e7on, Gr\u00f6\u00dfe 5\u00a3",
               "\u00c5 \u00e0 la carte, gar\u00e7on, Gr\u00f6\u00dfe 5\u00a3"},
              {"\u4e00\u53ea\u732b", "\u4e00\u53ea\u732b"},
              {"\U0001f44d\U0001f3fd \u2764\ufe0f", "\U0001f44d\U0001f3fd \u2764\ufe0f"}});
}

TEST(PromptCleaner, RefusesInvalidUtf8WithItsPosition) {
  for (const std::string bad : {"ab\xff", "ab\xc0\x80", "ab\xed\xa0\x80", "ab\xf4\x90\x80\x80",
                                "ab\xe2\x82", "ab\x80", "ab\xf5\x80\x80\x80", "ab\xe0\x80\x80"}) {
    const Error error = test::expect_error([&] { clean_prompt(bad); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_STREQ(error.what(), "prompt: invalid UTF-8 at byte 2");
  }
}

TEST(PromptCleaner, KeepsNulOut) { EXPECT_EQ(clean_prompt(std::string("a\0b", 3)), "ab"); }

TEST(PromptCleaner, RefusesEndlesslyNestedEntities) {
  std::string prompt = "&";
  for (int i = 0; i < 200; ++i) prompt += "amp;";
  const Error error = test::expect_error([&] { clean_prompt(prompt); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_NE(std::string(error.what()).find("nested more than 64 times"), std::string::npos);
  EXPECT_EQ(clean_prompt(prompt.substr(0, 1 + 4 * 50)), "&");
}

TEST(PromptCleaner, TakesAMegabyte) {
  std::string good;
  while (good.size() < (1u << 20)) good += "Ein Hund l\u00e4uft \u4e00\u53ea\u732b. ";
  good.pop_back();
  EXPECT_EQ(clean_prompt(good), good);
  std::string mojibake;
  while (mojibake.size() < (1u << 20)) mojibake += "caf\u00c3\u00a9 ";
  const std::string clean = clean_prompt(mojibake);
  EXPECT_EQ(clean.substr(0, 11), "caf\u00e9 caf\u00e9");
  EXPECT_EQ(clean.size(), mojibake.size() / 8 * 6 - 1);
}

// Pieces that reach every branch, put together at random: the cleaner returns text in UTF-8 that
// has no white space at the ends, or refuses.
TEST(PromptCleaner, SurvivesRandomInput) {
  const std::string_view pieces[] = {"&",      "#",        "x41",       "amp;",    "lt",
                                     ";",      "\u00c3",   "\u00a9",    "\u00e2",  "\u20ac",
                                     "\u2122", "\ufffd",   "\u00ed",    "\u00a0",  "\u00b0",
                                     "\u00c0", "\u0080",   "?",         "\x1a",    "\n",
                                     " ",      "\033[",    "1m",        "\u0433",  "\u0412",
                                     "<",      "\u00f0",   "\u0178",    "e\u0301", "\uff76\uff9e",
                                     "\xff",   "\xe2\x82", "\U0001f600"};
  std::mt19937 random(7);
  size_t accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string prompt;
    for (auto left = random() % 12; left-- > 0;) prompt += pieces[random() % std::size(pieces)];
    try {
      const std::string clean = clean_prompt(prompt);
      const auto text = decode_utf8(clean);
      ASSERT_TRUE(text.has_value());
      ASSERT_EQ(strip(*text), *text);
      ++accepted;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Code::kInvalidArgument);
    }
  }
  EXPECT_GT(accepted, 10000u);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (auto left = random() % 16; left-- > 0;) bytes.push_back(static_cast<char>(random()));
    try {
      clean_prompt(bytes);
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Code::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace mxvideo::tokenizer
