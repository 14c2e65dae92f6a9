#include "base/text/json.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/file/atomic_file.h"
#include "base/text/quote.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo {
namespace {

using mxvideo::test::TemporaryDirectory;
using nlohmann::json;
using test::expect_error_with;

TEST(ParseJson, BuildsTheSameTreeAsTheLibrary) {
  const std::string text =
      R"({"a":[1,-2,3.5,true,null,"x\u00e9\n",[],{}],"b":{"c":{"d":[[1],[2,3]]}},)"
      R"("u":18446744073709551615,"big":99999999999999999999})";
  EXPECT_EQ(parse_json(text, "text"), json::parse(text));
  EXPECT_EQ(parse_json(" 7 ", "text"), json(7));
}

TEST(ParseJson, RefusesMalformedText) {
  struct BadText {
    std::string text;
    std::string fragment;
  };
  for (const BadText& bad : std::vector<BadText>{
           {"", "invalid JSON at byte 1"},
           {"  ", "invalid JSON"},
           {"{", "invalid JSON"},
           {"[1,2", "invalid JSON"},
           {"[1 2]", "invalid JSON"},
           {"{} {}", "invalid JSON"},
           {"tru", "invalid JSON"},
           {"+1", "invalid JSON"},
           {".5", "invalid JSON"},
           {"1e400", "invalid JSON"},
           {"Infinity", "invalid JSON"},
           {"\"abc", "invalid JSON"},
           {"\"\\x\"", "invalid JSON"},
           {"\"\x80\"", "invalid JSON"},
           {"/* c */ 1", "invalid JSON"},
           {"\xef\xbb\xbf{}", "invalid JSON: starts with a byte order mark"},
           {std::string("{}\0", 3), "invalid JSON: NUL at byte 2"},
           {R"({"a":1,"b":{"x":1,"x":2}})", "duplicate key 'x'"},
           {R"({"a\nb":1,"a\nb":2})", R"(duplicate key 'a\x0ab')"},
           {std::string(17, '[') + std::string(17, ']'), "nested deeper than 16 levels"},
           {std::string(1'000'000, '['), "nested deeper than 16 levels"},
       }) {
    expect_error_with(
        Code::kCorruptFile, "config.json: " + bad.fragment,
        [&] { parse_json(bad.text, "config.json"); }, bad.text.substr(0, 80));
  }
}

TEST(ParseJson, KeepsToItsLimits) {
  EXPECT_NO_THROW(parse_json("[[1]]", "x", {.max_bytes = 5, .max_depth = 2, .max_values = 3}));
  expect_error_with(Code::kCorruptFile, "JSON of 6 bytes, limit 5",
                    [] { parse_json("[[1] ]", "x", {.max_bytes = 5}); });
  expect_error_with(Code::kCorruptFile, "nested deeper than 1 levels",
                    [] { parse_json("[[1]]", "x", {.max_depth = 1}); });
  expect_error_with(Code::kCorruptFile, "more than 2 values",
                    [] { parse_json("[[1]]", "x", {.max_values = 2}); });
}

TEST(ReadJsonFile, NamesTheFile) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "config.json";
  expect_error_with(Code::kNotFound, path.string(), [&] { read_json_file(path); });
  write_file_atomically(path, "{\"a\": 1}");
  EXPECT_EQ(read_json_file(path)["a"], 1);
  write_file_atomically(path, "{\"a\": }");
  expect_error_with(Code::kCorruptFile, path.string() + ": invalid JSON",
                    [&] { read_json_file(path); });
  expect_error_with(Code::kCorruptFile, "larger than 3 bytes",
                    [&] { read_json_file(path, {.max_bytes = 3}); });
}

class JsonFieldsTest : public testing::Test {
 protected:
  const json object_ = json::parse(R"({
      "int": 5, "negative": -5, "float": 1.5, "whole": 2.0, "text": "x", "yes": true,
      "none": null, "ints": [1, 2], "bools": [true, false], "numbers": [1, 2.5], "mixed": [1, "x"],
      "huge": 18446744073709551615, "object": {}})");
  const JsonFields fields_{object_, "config.json"};
};

TEST_F(JsonFieldsTest, ReadsTypedFields) {
  EXPECT_EQ(fields_.integer("int", 0, 5), 5);
  EXPECT_EQ(fields_.integer("negative", -5, 0), -5);
  EXPECT_EQ(fields_.integer_or("absent", 7, 0, 1), 7);
  EXPECT_EQ(fields_.integer_or("none", 7, 0, 1), 7);
  EXPECT_EQ(fields_.number("int", 0, 10), 5.0);
  EXPECT_EQ(fields_.number_or("float", 0, 0, 10), 1.5);
  EXPECT_EQ(fields_.number_or("none", 3, 0, 10), 3.0);
  EXPECT_TRUE(fields_.boolean_or("yes", false));
  EXPECT_TRUE(fields_.boolean_or("none", true));
  EXPECT_EQ(fields_.string("text"), "x");
  EXPECT_EQ(fields_.string_or("absent", "y"), "y");
  EXPECT_EQ(fields_.integers("ints", 1, 2), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(fields_.booleans("bools"), (std::vector<bool>{true, false}));
  EXPECT_EQ(fields_.numbers("numbers"), (std::vector<double>{1, 2.5}));
  EXPECT_TRUE(fields_.has("int"));
  EXPECT_FALSE(fields_.has("none"));
  EXPECT_FALSE(fields_.has("absent"));
  EXPECT_TRUE(fields_.raw("absent").is_null());
}

TEST_F(JsonFieldsTest, RefusesWrongTypesAndRanges) {
  const auto expect = [&](const std::string& fragment, const std::function<void()>& action) {
    expect_error_with(Code::kCorruptFile, "config.json: field " + fragment, action);
  };
  const auto infinity = std::numeric_limits<double>::infinity();
  expect("'absent' is missing", [&] { fields_.integer("absent", 0, 1); });
  expect("'none': expected an integer in [0, 1], got null", [&] { fields_.integer("none", 0, 1); });
  expect("'int': expected an integer in [0, 4], got 5", [&] { fields_.integer("int", 0, 4); });
  expect("'int': expected an integer in [6, 9], got 5",
         [&] { fields_.integer_or("int", 7, 6, 9); });
  expect("'whole': expected an integer in [0, 9], got 2.0",
         [&] { fields_.integer("whole", 0, 9); });
  expect("'yes': expected an integer in [0, 9], got true", [&] { fields_.integer("yes", 0, 9); });
  expect("'huge': expected an integer", [&] { fields_.integer("huge", 0, INT64_MAX); });
  expect("'text': expected a number in [0, 1], got the string 'x'",
         [&] { fields_.number("text", 0, 1); });
  expect("'float': expected a number in [0, 1], got 1.5", [&] { fields_.number("float", 0, 1); });
  expect("'float': expected a number in [2, inf], got 1.5",
         [&] { fields_.number_or("float", 3, 2, infinity); });
  expect("'int': expected true or false, got 5", [&] { fields_.boolean_or("int", true); });
  expect("'int': expected a string, got 5", [&] { fields_.string("int"); });
  expect("'object': expected a string, got an object", [&] { fields_.string_or("object", ""); });
  expect("'none': expected a string, got null", [&] { fields_.string("none"); });
  expect("'int': expected an array, got 5", [&] { fields_.integers("int", 0, 9); });
  expect("'mixed': expected every element an integer in [0, 9], got the string 'x'",
         [&] { fields_.integers("mixed", 0, 9); });
  expect("'ints': expected every element an integer in [0, 1], got 2",
         [&] { fields_.integers("ints", 0, 1); });
  expect("'ints': expected every element true or false, got 1", [&] { fields_.booleans("ints"); });
  expect("'mixed': expected every element a number, got the string 'x'",
         [&] { fields_.numbers("mixed"); });
  expect_error_with(Code::kCorruptFile, "x: expected an object, got an array of 2",
                    [&] { JsonFields(object_["ints"], "x"); });
}

TEST(Printable, EscapesWhatATerminalOrLogWouldObey) {
  EXPECT_EQ(printable("blöcke.重み"), "blöcke.重み");
  EXPECT_EQ(printable("a\nb\x1b[0m\x7f"), "a\\x0ab\\x1b[0m\\x7f");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable(std::string(300, 'a'), 10).substr(0, 3), "aaa");
  EXPECT_LE(printable(std::string(300, 'a'), 10).size(), 13u);
}

TEST(Printable, KeepsWellFormedUtf8Only) {
  for (const char* good : {"", "a", "é", "重", "😀", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    EXPECT_EQ(printable(good), good);
  }
  for (const char* bad : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\xff"}) {
    EXPECT_NE(printable(bad).find("\\x"), std::string::npos);
    for (const char c : printable(bad)) EXPECT_GT(c, 0);
  }
}

TEST(NameList, StopsAtItsLimit) {
  EXPECT_EQ(name_list({}), "");
  EXPECT_EQ(name_list({"a", "b"}, 2), "a, b");
  EXPECT_EQ(name_list({"a", "b", "c"}, 2), "a, b, … and 1 more");
}

}  // namespace
}  // namespace mxvideo
