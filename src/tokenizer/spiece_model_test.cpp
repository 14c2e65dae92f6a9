#include "tokenizer/spiece_model.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>

#include "support/test_support.h"

namespace mxvideo::tokenizer {
namespace {

std::string golden_model() {
  std::ifstream file(MXVIDEO_GOLDEN_DIR "/models/t2v-a14b/tokenizer/spiece.model",
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A piece message: text, score 0, type.
std::string piece(const std::string& text, char type = 1) {
  std::string message = "\x0a" + std::string(1, static_cast<char>(text.size())) + text;
  message += std::string("\x15\0\0\0\0\x18", 6) + type;
  return "\x0a" + std::string(1, static_cast<char>(message.size())) + message;
}

Error parse_error(const std::string& bytes) {
  return test::expect_error([&] { SpieceModel::parse(bytes, "m"); });
}

TEST(SpieceModel, ReadsPiecesScoresAndTable) {
  const SpieceModel model = SpieceModel::parse(golden_model(), "m");
  ASSERT_EQ(model.pieces.size(), 1200u);
  EXPECT_EQ(model.pieces[0].text, "<pad>");
  EXPECT_TRUE(model.pieces[2].unknown);
  EXPECT_EQ(model.pieces[3].text, "<0x00>");
  EXPECT_EQ(model.pieces[1199].text, "4");
  EXPECT_FLOAT_EQ(model.pieces[1199].score, -9.23863410949707f);
  EXPECT_GT(model.normalizer_table.size(), 100000u);
}

TEST(SpieceModel, SerializedModelHasTheSamePiecesAndNoTable) {
  const SpieceModel model = SpieceModel::parse(golden_model(), "m");
  const std::string more[] = {"unknown", "x1"};
  const SpieceModel again = SpieceModel::parse(model.serialize_plain_unigram(more), "m");
  ASSERT_EQ(again.pieces.size(), 1203u);
  for (size_t id = 0; id < 1200; ++id) {
    EXPECT_EQ(again.pieces[id].text, id == 2 ? "unknown." : model.pieces[id].text);
    EXPECT_EQ(again.pieces[id].score, model.pieces[id].score);
    EXPECT_EQ(again.pieces[id].unknown, id == 2);
  }
  EXPECT_EQ(again.pieces[1200].text, "<unk>");
  EXPECT_EQ(again.pieces[1202].text, "x1");
  EXPECT_TRUE(again.normalizer_table.empty());
}

TEST(SpieceModel, RefusesDamagedFiles) {
  const std::string good = piece("<unk>", 2) + piece("a");
  EXPECT_EQ(SpieceModel::parse(good, "m").pieces.size(), 2u);
  const struct {
    std::string bytes;
    const char* reason;
  } cases[] = {
      {good + "\x0a", "truncated"},
      {good + "\x0a\x05"
              "ab",
       "truncated"},
      {good + "\x0f", "unknown wire type 7"},
      {good + std::string("\x02\x00", 2), "field number out of range"},
      {good + "\x08" + std::string(11, '\xff'), "number of more than 64 bits"},
      {good + piece("a"), "two pieces have the same text"},
      {piece("a"), "expected one piece for unknown text, got 0"},
      {good + piece("b", 2), "expected one piece for unknown text, got 2"},
      {good + piece(""), "piece 2 has 0 bytes, expected 1 to 1024"},
      {good + piece("\xff"), "piece 2 is not text in UTF-8"},
      {good + piece(std::string("a\0b", 3)), "piece 2 is not text in UTF-8"},
      {good + std::string("\x0a\x08\x0a\x01"
                          "c\x15\x00\x00\x80\x7f",
                          10),
       "piece 2 has no finite score"},
      {"", "expected one piece for unknown text, got 0"},
      {"{\"json\": 1}", "not a SentencePiece model"},
  };
  for (const auto& c : cases) {
    const Error error = parse_error(c.bytes);
    EXPECT_EQ(error.code(), Code::kCorruptFile);
    EXPECT_NE(std::string(error.what()).find(c.reason), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).substr(0, 3), "m: ");
  }
}

TEST(SpieceModel, RefusesOtherModelTypes) {
  const Error error = parse_error(piece("<unk>", 2) + std::string("\x12\x02\x18\x02", 4));
  EXPECT_EQ(error.code(), Code::kUnsupported);
  EXPECT_STREQ(error.what(), "m: SentencePiece model of type 2, expected Unigram (1)");
}

TEST(SpieceModel, RefusesFilesAboveTheLimit) {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "spiece.model";
  std::ofstream(path) << "x";
  std::filesystem::resize_file(path, SpieceModel::kMaxFileBytes + 1);
  const Error error = test::expect_error([&] { SpieceModel::read(path); });
  EXPECT_EQ(error.code(), Code::kCorruptFile);
}

// Single bytes changed at random: parsed, or refused with the right code.
TEST(SpieceModel, SurvivesDamage) {
  const std::string good = piece("<unk>", 2) + piece("a") + piece("bc") + "\x12\x02\x18\x01";
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (int change = 0; change < 2; ++change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    try {
      SpieceModel::parse(bytes, "m");
    } catch (const Error& error) {
      ASSERT_TRUE(error.code() == Code::kCorruptFile || error.code() == Code::kUnsupported);
    }
  }
}

}  // namespace
}  // namespace mxvideo::tokenizer
