#include "base/text/field.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mxvideo {
namespace {

std::string in_brackets(std::string_view name) { return "<" + std::string(name) + ">"; }

TEST(Field, EveryFrontSpellsTheNamesOfAMessage) {
  const std::string message = field("width") + " 7 and " + field("height") + ": both or none";
  EXPECT_EQ(spell_fields(message, in_brackets), "<width> 7 and <height>: both or none");
  EXPECT_EQ(spell_fields(field("seed"), in_brackets), "<seed>");
  EXPECT_EQ(spell_fields("width 7", in_brackets), "width 7") << "a word is no name";
  EXPECT_EQ(spell_fields("", in_brackets), "");
}

TEST(Field, ACutMessageHasNoMarks) {
  const std::string message = "a " + field("seed");
  for (size_t bytes = 0; bytes < message.size(); ++bytes) {
    const std::string shown = spell_fields(message.substr(0, bytes), in_brackets);
    EXPECT_EQ(shown.find("\uFDD0"), std::string::npos) << bytes;
    EXPECT_EQ(shown.find('<'), std::string::npos) << bytes;
  }
}

TEST(Field, AnErrorSaysWhichFieldItIsAbout) {
  const std::string message = "with " + field("num_frames") + " 7 and " + field("fps") + " 0";
  EXPECT_EQ(Error(Code::kInvalidArgument, message).field(), "num_frames");
  EXPECT_EQ(Error(Code::kIo, "disk full").field(), "");
  EXPECT_EQ(Error(Code::kIo, message.substr(0, 8)).field(), "") << "cut";
}

}  // namespace
}  // namespace mxvideo
