#include "tokenizer/spiece_model.h"

#include <bit>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/file/file_kind.h"
#include "base/file/mapped_file.h"
#include "tokenizer/unicode_text.h"

namespace mxvideo::tokenizer {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Field numbers of sentencepiece_model.proto.
constexpr uint32_t kModelPieces = 1;
constexpr uint32_t kModelTrainerSpec = 2;
constexpr uint32_t kModelNormalizerSpec = 3;
constexpr uint32_t kPieceText = 1;
constexpr uint32_t kPieceScore = 2;
constexpr uint32_t kPieceType = 3;
constexpr uint32_t kTrainerModelType = 3;
constexpr uint32_t kNormalizerTable = 2;
constexpr uint32_t kNormalizerAddDummyPrefix = 3;
constexpr uint32_t kNormalizerRemoveExtraWhitespaces = 4;
constexpr uint32_t kNormalizerEscapeWhitespaces = 5;

constexpr uint64_t kTypeNormal = 1;
constexpr uint64_t kTypeUnknown = 2;
constexpr uint64_t kModelTypeUnigram = 1;

struct Field {
  uint32_t number = 0;
  WireType type = kVarint;
  uint64_t value = 0;      // of varint and fixed fields
  std::string_view bytes;  // of length-delimited fields
};

// Reads the fields of one message in order.
class MessageReader {
 public:
  MessageReader(std::string_view bytes, const std::string& origin)
      : bytes_(bytes), origin_(origin) {}

  std::optional<Field> next() {
    if (bytes_.empty()) return {};
    const uint64_t key = varint();
    const uint64_t number = key >> 3;
    if (number == 0 || number >= (1u << 29)) fail("field number out of range");
    Field field{static_cast<uint32_t>(number), static_cast<WireType>(key & 7), 0, {}};
    switch (field.type) {
      case kVarint:
        field.value = varint();
        break;
      case kFixed32:
        field.value = fixed(4);
        break;
      case kFixed64:
        field.value = fixed(8);
        break;
      case kBytes:
        field.bytes = take(varint());
        break;
      default:
        fail("unknown wire type " + std::to_string(key & 7));
    }
    return field;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Code::kCorruptFile, origin_ + ": not a SentencePiece model: " + what);
  }

 private:
  std::string_view take(uint64_t length) {
    if (length > bytes_.size()) fail("truncated");
    const std::string_view taken = bytes_.substr(0, static_cast<size_t>(length));
    bytes_.remove_prefix(taken.size());
    return taken;
  }

  uint64_t fixed(size_t length) {
    const std::string_view taken = take(length);
    uint64_t value = 0;
    for (size_t i = length; i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
    return value;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    fail("number of more than 64 bits");
  }

  std::string_view bytes_;
  const std::string& origin_;
};

SentencePiece parse_piece(std::string_view bytes, const std::string& origin) {
  MessageReader reader(bytes, origin);
  SentencePiece piece;
  while (const auto field = reader.next()) {
    if (field->number == kPieceText && field->type == kBytes) {
      piece.text = std::string(field->bytes);
    } else if (field->number == kPieceScore && field->type == kFixed32) {
      piece.score = std::bit_cast<float>(static_cast<uint32_t>(field->value));
    } else if (field->number == kPieceType && field->type == kVarint) {
      piece.unknown = field->value == kTypeUnknown;
    }
  }
  return piece;
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_number(std::string& out, uint32_t field, uint64_t value) {
  append_varint(out, field << 3 | kVarint);
  append_varint(out, value);
}

void append_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_varint(out, field << 3 | kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_float(std::string& out, uint32_t field, float value) {
  append_varint(out, field << 3 | kFixed32);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(bits >> shift));
}

void append_piece(std::string& out, std::string_view text, float score, bool unknown) {
  std::string message;
  append_bytes(message, kPieceText, text);
  append_float(message, kPieceScore, score);
  append_number(message, kPieceType, unknown ? kTypeUnknown : kTypeNormal);
  append_bytes(out, kModelPieces, message);
}

}  // namespace

SpieceModel SpieceModel::parse(std::string_view bytes, const std::string& origin) {
  SpieceModel model;
  MessageReader reader(bytes, origin);
  uint64_t model_type = kModelTypeUnigram;
  while (const auto field = reader.next()) {
    if (field->type != kBytes) continue;
    MessageReader message(field->bytes, origin);
    if (field->number == kModelPieces) {
      if (model.pieces.size() == kMaxPieces) {
        reader.fail("more than " + std::to_string(kMaxPieces) + " pieces");
      }
      model.pieces.push_back(parse_piece(field->bytes, origin));
    } else if (field->number == kModelTrainerSpec) {
      while (const auto inner = message.next()) {
        if (inner->number == kTrainerModelType) model_type = inner->value;
      }
    } else if (field->number == kModelNormalizerSpec) {
      while (const auto inner = message.next()) {
        if (inner->number == kNormalizerTable) model.normalizer_table = std::string(inner->bytes);
      }
    }
  }
  if (model_type != kModelTypeUnigram) {
    throw Error(Code::kUnsupported, origin + ": SentencePiece model of type " +
                                        std::to_string(model_type) + ", expected Unigram (1)");
  }
  model.check(origin + ": not a SentencePiece model");
  return model;
}

void SpieceModel::check(const std::string& origin) const {
  const auto fail = [&](const std::string& what) {
    throw Error(Code::kCorruptFile, origin + ": " + what);
  };
  std::unordered_set<std::string_view> seen;
  size_t unknown = 0;
  for (size_t id = 0; id < pieces.size(); ++id) {
    const SentencePiece& piece = pieces[id];
    const std::string name = "piece " + std::to_string(id);
    if (piece.text.empty() || piece.text.size() > kMaxPieceBytes) {
      fail(name + " has " + std::to_string(piece.text.size()) + " bytes, expected 1 to " +
           std::to_string(kMaxPieceBytes));
    }
    if (piece.text.find('\0') != std::string::npos || !decode_utf8(piece.text)) {
      fail(name + " is not text in UTF-8");
    }
    if (!std::isfinite(piece.score)) fail(name + " has no finite score");
    if (!seen.insert(piece.text).second) fail("two pieces have the same text");
    if (piece.unknown) ++unknown;
  }
  if (unknown != 1) {
    fail("expected one piece for unknown text, got " + std::to_string(unknown));
  }
}

SpieceModel SpieceModel::read(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  refuse_in_place_of_binary(bytes, path.string());
  if (bytes.size() > static_cast<size_t>(kMaxFileBytes)) {
    throw Error(Code::kCorruptFile, path.string() + ": " + std::to_string(bytes.size()) +
                                        " bytes, expected a SentencePiece model of at most " +
                                        std::to_string(kMaxFileBytes));
  }
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

std::string SpieceModel::serialize_plain_unigram(std::span<const std::string> more) const {
  std::unordered_set<std::string_view> texts(more.begin(), more.end());
  for (const SentencePiece& piece : pieces) texts.insert(piece.text);
  std::string placeholder = "unknown";
  while (texts.count(placeholder) != 0) placeholder += '.';

  std::string out;
  std::string_view unknown_text;
  for (const SentencePiece& piece : pieces) {
    append_piece(out, piece.unknown ? placeholder : piece.text, piece.score, piece.unknown);
    if (piece.unknown) unknown_text = piece.text;
  }
  append_piece(out, unknown_text, 0, false);
  for (const std::string& text : more) append_piece(out, text, 0, false);
  std::string trainer;
  append_number(trainer, kTrainerModelType, kModelTypeUnigram);
  append_bytes(out, kModelTrainerSpec, trainer);
  std::string normalizer;
  append_number(normalizer, kNormalizerAddDummyPrefix, 0);
  append_number(normalizer, kNormalizerRemoveExtraWhitespaces, 0);
  append_number(normalizer, kNormalizerEscapeWhitespaces, 0);
  append_bytes(out, kModelNormalizerSpec, normalizer);
  return out;
}

}  // namespace mxvideo::tokenizer
